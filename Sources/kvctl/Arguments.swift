/// A mistake in what the user typed: one line, and exit code 2.
struct UsageError: Error {
  let message: String
  let hint: String?

  init(_ message: String, hint: String? = nil) {
    self.message = message
    self.hint = hint
  }
}

/// The words of the command line, taken one after another.
///
/// Options may stand anywhere before `--`; they are taken first, and what is left are the command and its words.
struct Arguments {
  private var words: [String] = []
  private var options: [(name: String, value: String?)] = []

  /// Options that are followed by a value.
  private static let withValue: Set<String> = ["endpoints", "timeout", "local-id"]

  init(_ arguments: [String]) throws(UsageError) {
    var index = 0
    while index < arguments.count {
      let word = arguments[index]
      index += 1
      if word == "--" {
        words += arguments[index...]
        return
      }
      guard word.hasPrefix("--") else {
        if word == "-h" { options.append(("help", nil)) } else { words.append(word) }
        continue
      }
      let halves = word.dropFirst(2).split(separator: "=", maxSplits: 1)
      let name = String(halves.first ?? "")
      if halves.count == 2 {
        options.append((name, String(halves[1])))
      } else if Self.withValue.contains(name) {
        guard index < arguments.count else { throw UsageError("--\(name) needs a value") }
        options.append((name, arguments[index]))
        index += 1
      } else {
        options.append((name, nil))
      }
    }
  }

  /// Takes the next word, which the help calls `name`.
  mutating func next(_ name: String, of command: String) throws(UsageError) -> String {
    guard !words.isEmpty else {
      throw UsageError("\(command) needs \(name)", hint: "kvctl help \(command)")
    }
    return words.removeFirst()
  }

  mutating func nextIfAny() -> String? { words.isEmpty ? nil : words.removeFirst() }

  /// Takes an option with a value.
  mutating func value(of name: String) throws(UsageError) -> String? {
    guard let place = options.lastIndex(where: { $0.name == name }) else { return nil }
    guard let value = options[place].value else { throw UsageError("--\(name) needs a value") }
    options.removeAll { $0.name == name }
    return value
  }

  /// Takes an option without a value.
  mutating func flag(_ name: String) throws(UsageError) -> Bool {
    guard let place = options.lastIndex(where: { $0.name == name }) else { return false }
    guard options[place].value == nil else { throw UsageError("--\(name) takes no value") }
    options.removeAll { $0.name == name }
    return true
  }

  /// Takes seconds, such as 2 or 0.5.
  mutating func seconds(of name: String) throws(UsageError) -> Duration? {
    guard let text = try value(of: name) else { return nil }
    guard let seconds = Double(text), seconds > 0, seconds <= 86_400 else {
      throw UsageError("--\(name) takes seconds from 0.001 to 86400, not '\(text)'")
    }
    return .milliseconds(Int64((seconds * 1000).rounded(.up)))
  }

  /// Refuses what nobody took.
  func finish(_ command: String) throws(UsageError) {
    if let option = options.first {
      throw UsageError("\(command) knows no option --\(option.name)", hint: "kvctl help \(command)")
    }
    if let word = words.first {
      throw UsageError(
        "\(command) does not know what to do with '\(word)'",
        hint: "quote a key or value that has spaces; kvctl help \(command)"
      )
    }
  }
}
