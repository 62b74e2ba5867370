import Foundation
import Testing

/// Docs/RAFT.md names functions, tests and scripts that are there.
@Suite struct PageTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  /// The names of all files below a folder, and what the Swift files among them say.
  private static func contents(of folder: String) throws -> String {
    let place = root.appendingPathComponent(folder).path
    var text = ""
    for name in try FileManager.default.subpathsOfDirectory(atPath: place).sorted() {
      text += name + "\n"
      guard name.hasSuffix(".swift") else { continue }
      text += try String(contentsOfFile: place + "/" + name, encoding: .utf8)
    }
    return text
  }

  @Test func everyNameInTheTablesIsThere() throws {
    let page = try String(
      contentsOf: Self.root.appendingPathComponent("Docs/RAFT.md"),
      encoding: .utf8
    )
    let code = try Self.contents(of: "Sources/Raft")
    let tests = try Self.contents(of: "Tests/RaftTests") + Self.contents(of: "Tests/TestSupport")
    var count = 0
    for line in page.split(separator: "\n") where line.hasPrefix("| ") {
      let columns = line.split(separator: "|").map(String.init)
      guard columns.count == 3 else { continue }
      for (column, text) in [(columns[1], code), (columns[2], tests)] {
        for (place, name) in column.split(separator: "`").enumerated() where place % 2 == 1 {
          #expect(text.contains(name), "\(name) is not there")
          count += 1
        }
      }
    }
    #expect(count > 100, "the tables were read")
  }
}
