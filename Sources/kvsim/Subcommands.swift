/// What `kvsim` can do; one line here for each.
enum Subcommands {
  static var all: [any Subcommand.Type] {
    [
      RunCommand.self, SwarmCommand.self, ReplayCommand.self, ShrinkCommand.self,
      PlantCommand.self, ExploreCommand.self,
    ]
  }

  static var usage: String {
    let width = all.map { $0.name.count }.max() ?? 0
    let lines = all.map { command in
      let padding = String(repeating: " ", count: width - command.name.count)
      return "  \(command.name)\(padding)  \(command.summary)"
    }
    return """
      usage: kvsim COMMAND [OPTIONS]

      \(lines.joined(separator: "\n"))

      'kvsim COMMAND --help' says more.
      Exit codes: 0 nothing was found, 1 a rule was broken, 2 wrong usage.
      """
  }

  static func run(_ words: [String]) -> Int32 {
    guard let name = words.first else { return refuse(UsageError("say what to do")) }
    if name == "--help" || name == "-h" || name == "help" {
      print(usage)
      return 0
    }
    guard let command = all.first(where: { $0.name == name }) else {
      return refuse(UsageError("there is no command '\(name)'"))
    }
    let rest = Array(words.dropFirst())
    if rest.contains("--help") || rest.contains("-h") {
      print(command.usage)
      return 0
    }
    do throws(UsageError) {
      return try command.run(
        Options(rest, flags: command.flags, values: command.values, takesFile: command.takesFile)
      )
    } catch {
      return refuse(error)
    }
  }

  private static func refuse(_ error: UsageError) -> Int32 {
    Machine.complain("kvsim: \(error.sentence); 'kvsim --help' says more")
    return 2
  }
}

/// One thing that `kvsim` can do.
protocol Subcommand {
  static var name: String { get }
  static var summary: String { get }
  static var usage: String { get }
  /// The options without a value, and those with one.
  static var flags: Set<String> { get }
  static var values: Set<String> { get }

  /// Whether one word that is no option names a file.
  static var takesFile: Bool { get }

  /// Does it, and answers the exit code.
  static func run(_ options: Options) throws(UsageError) -> Int32
}

extension Subcommand {
  static var takesFile: Bool { false }
}

/// The user asked for something that makes no sense.
struct UsageError: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

/// The words behind a subcommand.
struct Options {
  private var flags: Set<String> = []
  private var values: [String: String] = [:]
  private(set) var file: String?

  init(
    _ words: [String],
    flags known: Set<String>,
    values named: Set<String>,
    takesFile: Bool
  ) throws(UsageError) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if takesFile, file == nil, !word.hasPrefix("--") {
        file = word
        continue
      }
      guard word.hasPrefix("--") else { throw UsageError("'\(word)' is not an option") }
      let halves = word.dropFirst(2).split(separator: "=", maxSplits: 1).map(String.init)
      let name = halves.first ?? ""
      guard !flags.contains(name), values[name] == nil else {
        throw UsageError("--\(name) is given twice")
      }
      if known.contains(name), halves.count == 1 {
        flags.insert(name)
      } else if named.contains(name) {
        guard let value = halves.count == 2 ? halves[1] : rest.popFirst() else {
          throw UsageError("--\(name) needs a value")
        }
        values[name] = value
      } else {
        throw UsageError("there is no option '\(word)'")
      }
    }
  }

  func has(_ flag: String) -> Bool { flags.contains(flag) }

  func text(_ name: String) -> String? { values[name] }

  func number(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let text = values[name] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw UsageError(
        "--\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'"
      )
    }
    return number
  }
}
