import Foundation

/// A script with recorded answers: a reader sees the dialogue, a test sees where it changes.
///
///     # Why this is so.
///     a directive
///     another one
///     ----
///     what they answered
///
/// Blank lines part the blocks. With `ROOST_REWRITE=1` in the environment the answers are recorded
/// anew; read that difference as carefully as code.
package struct Scenario {
  package let path: String
  private let blocks: [Block]

  private struct Block {
    var comments: [String] = []
    var directives: [String] = []
    var answer: [String] = []

    var text: String {
      (comments + directives + (directives.isEmpty ? [] : ["----"] + answer))
        .joined(separator: "\n")
    }
  }

  /// The scripts in a folder beside the test's own file, in the order of their names.
  package static func files(in folder: String, besides source: String = #filePath) -> [String] {
    let place = URL(fileURLWithPath: source).deletingLastPathComponent()
      .appendingPathComponent(folder).path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
    return names.filter { $0.hasSuffix(".txt") }.sorted().map { place + "/" + $0 }
  }

  package init(path: String) throws {
    self.path = path
    let text = try String(contentsOfFile: path, encoding: .utf8)
    var blocks: [Block] = []
    var block = Block()
    var isAnswer = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
      if line.isEmpty {
        if !block.comments.isEmpty || !block.directives.isEmpty { blocks.append(block) }
        block = Block()
        isAnswer = false
      } else if isAnswer {
        block.answer.append(line)
      } else if line == "----" {
        isAnswer = true
      } else if line.hasPrefix("#") {
        block.comments.append(line)
      } else {
        block.directives.append(line)
      }
    }
    if !block.comments.isEmpty || !block.directives.isEmpty { blocks.append(block) }
    self.blocks = blocks
  }

  /// Carries out the directives, and records their answers if that is asked for.
  package func run(_ answer: (String) -> [String]) throws -> (expected: String, actual: String) {
    let texts = compare(answer)
    guard ProcessInfo.processInfo.environment["ROOST_REWRITE"] == "1" else { return texts }
    try texts.actual.write(toFile: path, atomically: true, encoding: .utf8)
    return (texts.actual, texts.actual)
  }

  /// Carries out the directives; the answer is the script as it should be and as it is.
  package func compare(_ answer: (String) -> [String]) -> (expected: String, actual: String) {
    let expected = blocks.map(\.text).joined(separator: "\n\n") + "\n"
    let actual =
      blocks.map { block in
        var block = block
        block.answer = block.directives.flatMap(answer)
        if block.answer.isEmpty { block.answer = ["ok"] }
        return block.text
      }.joined(separator: "\n\n") + "\n"
    return (expected, actual)
  }

  /// The first line in which two texts differ, for a message that fits on a screen.
  package static func firstDifference(_ expected: String, _ actual: String) -> String {
    let one = expected.split(separator: "\n", omittingEmptySubsequences: false)
    let other = actual.split(separator: "\n", omittingEmptySubsequences: false)
    for line in 0..<max(one.count, other.count) {
      let left = line < one.count ? one[line] : "(the end)"
      let right = line < other.count ? other[line] : "(the end)"
      if left != right { return "line \(line + 1): expected '\(left)', but it is '\(right)'" }
    }
    return "no difference"
  }
}
