import Testing

/// The rules of Docs/STYLE.md that a machine can check beyond what the formatter does.
@Suite struct StyleTests {
  private static let functionLimit = 60
  private static let fileLimit = 700

  @Test(arguments: ["Sources", "Tests"])
  func filesAreReadInOneSitting(folder: String) throws {
    for file in try SourceFile.all(in: folder) {
      let count = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
      #expect(
        count <= Self.fileLimit,
        "\(file.path) has \(count) lines: where does it want to be cut?"
      )
    }
  }

  @Test(arguments: ["Sources", "Tests"])
  func functionsAreReadAtAGlance(folder: String) throws {
    for file in try SourceFile.all(in: folder) {
      for function in Self.functions(in: file) where function.lineCount > Self.functionLimit {
        Issue.record(
          "\(file.path):\(function.line) has \(function.lineCount) lines: \(function.head)"
        )
      }
    }
  }

  @Test func nothingUnfinishedIsLeft() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "not imple" + "mented"]
    for folder in ["Sources", "Tests"] {
      for file in try SourceFile.all(in: folder) {
        for mark in marks where file.text.contains(mark) {
          Issue.record("\(file.path) holds the mark \(mark)")
        }
      }
    }
  }

  @Test func promisesToTheCompilerStayInPlatform() throws {
    for file in try SourceFile.all(in: "Sources") where !file.path.hasPrefix("Sources/Platform/") {
      for word in ["@unchecked Sendable", "nonisolated(unsafe)", "Task.detached", "@_"] {
        #expect(!file.code.contains { $0.contains(word) }, "\(file.path) uses \(word)")
      }
    }
  }

  @Test func foundationStaysAboveTheLibraries() throws {
    for file in try SourceFile.all(in: "Sources") {
      #expect(!file.imports.contains { $0.hasPrefix("Foundation") }, "\(file.path)")
    }
  }

  @Test func everyUnsafeBlockSaysWhyItIsSafe() throws {
    for file in try SourceFile.all(in: "Sources") {
      let uses = file.code.contains { $0.contains("unsafe ") && !$0.contains("@safe") }
      #expect(!uses || file.text.contains("SAFETY:"), "\(file.path) uses unsafe without a reason")
    }
  }

  private struct Function {
    let head: Substring
    let line: Int
    let lineCount: Int
  }

  /// Functions by their indentation, which the formatter guarantees: from `func` or `init` to the brace below it.
  private static func functions(in file: SourceFile) -> [Function] {
    let lines = file.code
    var functions: [Function] = []
    for (number, line) in lines.enumerated() {
      let indent = line.prefix { $0 == " " }
      let head = line.dropFirst(indent.count)
      let words = head.split(separator: " ")
      let isFunction = words.contains("func") || words.contains { $0.hasPrefix("init(") }
      guard isFunction, !head.hasSuffix("}"), !head.hasPrefix("self.") else { continue }
      let end = lines[(number + 1)...].firstIndex { $0 == indent + "}" }
      guard let end else { continue }
      functions.append(Function(head: head, line: number + 1, lineCount: end - number + 1))
    }
    return functions
  }
}
