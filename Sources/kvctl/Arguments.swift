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
  /// What stands behind `--`.
  private var tail: [String]?
  private var options: [(name: String, value: String?)] = []

  /// Options that are followed by a value.
  private static let withValue: Set<String> = [
    "endpoints", "timeout", "local-id", "if-version", "if-revision", "if-value", "ttl", "lease",
    "lock", "token", "at", "limit", "max-age", "from", "permits", "wait",
  ]

  init(_ arguments: [String]) throws(UsageError) {
    var index = 0
    while index < arguments.count {
      let word = arguments[index]
      index += 1
      if word == "--" {
        tail = Array(arguments[index...])
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
    guard let word = nextIfAny() else {
      throw UsageError("\(command) needs \(name)", hint: "kvctl help \(command)")
    }
    return word
  }

  mutating func nextIfAny() -> String? {
    if !words.isEmpty { return words.removeFirst() }
    guard tail?.isEmpty == false else { return nil }
    return tail?.removeFirst()
  }

  /// Whether a word is left.
  var hasWord: Bool { !words.isEmpty || tail?.isEmpty == false }

  /// Whether an option was given.
  func has(_ name: String) -> Bool { options.contains { $0.name == name } }

  /// Takes what stands behind `--`: a command line of its own; nil without a `--`.
  mutating func takeCommand() -> [String]? {
    defer { tail = nil }
    return tail
  }

  /// Takes the next word as a number.
  mutating func nextNumber(_ name: String, of command: String) throws(UsageError) -> UInt64 {
    let text = try next(name, of: command)
    guard let number = UInt64(text) else {
      throw UsageError("\(name) is a number, not '\(text)'", hint: "kvctl help \(command)")
    }
    return number
  }

  /// Takes an option that is a number.
  mutating func number(of name: String) throws(UsageError) -> UInt64? {
    guard let text = try value(of: name) else { return nil }
    guard let number = UInt64(text) else {
      throw UsageError("--\(name) takes a number, not '\(text)'")
    }
    return number
  }

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
  mutating func seconds(
    of name: String,
    orZero: Bool = false
  ) throws(UsageError) -> Duration? {
    guard let text = try value(of: name) else { return nil }
    if orZero, Double(text) == 0 { return .zero }
    return try Self.seconds(text, "--\(name)")
  }

  /// Seconds as somebody typed them.
  static func seconds(_ text: String, _ name: String) throws(UsageError) -> Duration {
    guard let seconds = Double(text), seconds > 0, seconds <= 31_622_400 else {
      throw UsageError("\(name) takes seconds from 0.001 to 31622400, not '\(text)'")
    }
    return .milliseconds(Int64((seconds * 1000).rounded(.up)))
  }

  /// Refuses what nobody took.
  func finish(_ command: String) throws(UsageError) {
    if let option = options.first {
      throw UsageError("\(command) knows no option --\(option.name)", hint: "kvctl help \(command)")
    }
    if let word = words.first ?? tail?.first {
      throw UsageError(
        "\(command) does not know what to do with '\(word)'",
        hint: "quote a key or value that has spaces; kvctl help \(command)"
      )
    }
  }
}
