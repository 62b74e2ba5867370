import Foundation
import Testing

/// What the README tells a reader to type exists.
@Suite struct ReadmeTests {
  /// The lines inside the fences marked `sh` of a page, without the prompt and without comments.
  private static func commands(in page: String) throws -> [String] {
    var commands: [String] = []
    var inside = false
    for line in try SourceFile(page).text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        inside = line == "```sh"
      } else if inside, !line.isEmpty, !line.hasPrefix("#") {
        commands.append(line.hasPrefix("$ ") ? String(line.dropFirst(2)) : String(line))
      }
    }
    return commands
  }

  @Test func theTwoCommandsAreThere() throws {
    let commands = try Self.commands(in: "README.md")
    #expect(commands.contains("./cluster.sh start"))
    #expect(commands.contains("swift test"))
  }

  @Test(arguments: ["README.md", "Docs/BENCHMARKS.md", "Docs/CONTRIBUTING.md"])
  func whatAPageTellsToRunExists(page: String) throws {
    let programs = try SourceFile("Package.swift").text
    for command in try Self.commands(in: page) {
      // What is set for one command alone stands before it.
      let words = command.split(separator: " ").drop { $0.contains("=") }
      let first = try #require(words.first)
      switch first {
      case "./cluster.sh":
        let verb = try #require(words.dropFirst().first, "\(command)")
        let script = try SourceFile("cluster.sh").text
        #expect(script.contains("\n  \(verb))"), "\(page): cluster.sh has no '\(verb)'")
      case "swift", "git", "cd", "export", "source", "kill", "for", "while", "do", "done",
        "mkdir":
        continue
      default:
        let path = String(first)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let isProgram = programs.contains("name: \"\(name)\"")
        let url = SourceFile.root.appendingPathComponent(path)
        #expect(
          isProgram || FileManager.default.fileExists(atPath: url.path),
          "\(page): \(command)"
        )
      }
    }
  }

  @Test(arguments: [
    "README.md", "Docs/ARCHITECTURE.md", "Docs/BENCHMARKS.md", "Docs/CONTRIBUTING.md",
    "Docs/READING.md",
  ])
  func everyFileThatAPageNamesExists(page: String) throws {
    let text = try SourceFile(page).text
    for piece in text.split(separator: "`").enumerated() where piece.offset % 2 == 1 {
      let name = String(piece.element)
      let isPath = ["Sources/", "Tests/", "Docs/"].contains { name.hasPrefix($0) }
      guard isPath, !name.contains("*"), !name.contains(" "), !name.contains("\n") else { continue }
      let url = SourceFile.root.appendingPathComponent(name)
      #expect(FileManager.default.fileExists(atPath: url.path), "\(page) names \(name)")
    }
  }
}
