import Foundation
import RoostWire
import Testing

/// Docs/COMMANDS.md is true to the byte.
///
/// After an intended change run `ROOST_REWRITE=1 swift test --filter CommandsPageTests`, and read the page's diff
/// as carefully as the code's.
@Suite(.serialized) struct CommandsPageTests {
  private static let path = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Docs/COMMANDS.md")

  private static func page() throws -> String { try String(contentsOf: path, encoding: .utf8) }

  private static func hex(_ bytes: [UInt8]) -> String {
    let digits = bytes.map { String(format: "%02x", $0) }
    return stride(from: 0, to: digits.count, by: 24)
      .map { digits[$0..<min($0 + 24, digits.count)].joined(separator: " ") }
      .joined(separator: "\n")
  }

  /// The page with the examples as the code writes them.
  private static func rewritten(_ page: String) throws -> String {
    var page = page
    for example in CommandExamples.all {
      let mark = "<!-- example \(example.name) -->\n```\n"
      let start = try #require(page.range(of: mark), "the page has the example '\(example.name)'")
      let end = try #require(page.range(of: "```", range: start.upperBound..<page.endIndex))
      page.replaceSubrange(
        start.upperBound..<end.lowerBound,
        with: hex(example.bytes) + "\n"
      )
    }
    return page
  }

  @Test func everyExampleIsWhatTheCodeWrites() throws {
    let page = try Self.page()
    let rewritten = try Self.rewritten(page)
    if Environment.isSet("ROOST_REWRITE") {
      try rewritten.write(to: Self.path, atomically: true, encoding: .utf8)
    } else {
      #expect(page == rewritten)
    }
  }

  @Test func everyErrorCodeStandsOnThePage() throws {
    let page = try Self.page()
    for code in ErrorCode.allCases {
      let name = "\(code)"
      let mark = code.execution == .unknown ? "unknown" : "no"
      let row = "| \(code.rawValue) | \(name) | \(mark) | \(code.sentence) |"
      #expect(page.contains(row), "the page lacks: \(row)")
    }
  }
}
