import Foundation
import Testing

/// Every promise of Docs/GUARANTEES.md names tests that are there.
@Suite struct GuaranteesTests {
  /// The names of all test functions, and of all scripts.
  private static func names() throws -> Set<String> {
    var names: Set<String> = []
    for file in try SourceFile.all(in: "Tests") {
      for line in file.code {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "func"), place + 1 < words.count else { continue }
        names.insert(String(words[place + 1].prefix { $0 != "(" && $0 != "<" }))
      }
    }
    let tests = SourceFile.root.appendingPathComponent("Tests").path
    for path in try FileManager.default.subpathsOfDirectory(atPath: tests) {
      guard path.hasSuffix(".txt"), let name = path.split(separator: "/").last else { continue }
      names.insert(String(name))
    }
    return names
  }

  @Test func everyTestThatAPromiseNamesExists() throws {
    let names = try Self.names()
    var rows = 0
    for line in try SourceFile("Docs/GUARANTEES.md").text.split(separator: "\n") {
      guard line.hasPrefix("| "), !line.hasPrefix("| ---") else { continue }
      let columns = line.split(separator: "|", omittingEmptySubsequences: false)
      guard columns.count == 5, columns[3] != " held by " else { continue }
      rows += 1
      let held = columns[3].split(separator: "`", omittingEmptySubsequences: false)
      for (place, name) in held.enumerated() where place % 2 == 1 {
        #expect(names.contains(String(name)), "there is no \(name):\(columns[2])")
      }
      #expect(held.count > 1 || held[0].contains("none yet"), "nothing holds\(columns[2])")
    }
    #expect(rows > 110, "the tables were read")
  }
}
