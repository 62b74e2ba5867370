import Foundation
import Testing

/// A file of this package, as the tidy tests read it.
struct SourceFile: CustomTestStringConvertible {
  let path: String
  let text: String

  var testDescription: String { path }

  /// The package's folder, found from this file's own place.
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  init(_ path: String) throws {
    self.path = path
    text = try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
  }

  /// The lines, without their comments and the contents of string literals on one line.
  var code: [Substring] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.drop { $0 == " " }.hasPrefix("//") ? "" : line
    }
  }

  /// The modules that the file imports, with any access level before the word.
  var imports: [String] {
    code.compactMap { line in
      let words = line.split(separator: " ")
      guard let place = words.firstIndex(of: "import"), place <= 2, place + 1 < words.count else {
        return nil
      }
      return String(words[place + 1])
    }
  }

  /// All Swift files below a folder, in order.
  static func all(in folder: String) throws -> [SourceFile] {
    let base = root.appendingPathComponent(folder)
    guard let found = FileManager.default.enumerator(atPath: base.path) else { return [] }
    return try found.compactMap { $0 as? String }
      .filter { $0.hasSuffix(".swift") }
      .sorted()
      .map { try SourceFile(folder + "/" + $0) }
  }
}
