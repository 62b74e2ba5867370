internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl txn`: lines of words become a transaction.
enum TransactionCommand {
  static let explanation = """
    usage: kvctl txn [LINE ...]

    Does several things at once: all of them, in one revision, or none. Each argument is a line; without any they are read from standard
    input, one a line, and lines that begin with # are skipped. Words are separated by spaces; put quotes around a word with spaces in it,
    and write \\n, \\t, \\" or \\\\ within them.

      if exists KEY                 if absent KEY             if held LOCK TOKEN
      if value KEY OP VALUE         if count PREFIX OP NUMBER
      if version|created|modified|lease KEY OP NUMBER         OP is one of = != < <= > >=
      then put KEY VALUE            then get KEY              then list PREFIX
      then del KEY                  then delprefix PREFIX
      then add KEY NUMBER           then append KEY TEXT
      else ...                      the same; done if not all of the ifs hold

    Prints then or else and the revision, and a line for each thing that was done. Exit code 4 if the ifs did not all hold.

      kvctl txn 'if exists a' 'then put b x' 'then del a' 'else put missing a'
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let isJson = try arguments.flag("json")
    var lines: [String] = []
    while let line = arguments.nextIfAny() { lines.append(line) }
    try arguments.finish("txn")
    if lines.isEmpty {
      guard let input = Process.readInput(limit: 3 << 19) else {
        throw UsageError("a transaction is over the limit of 1.5 MiB")
      }
      lines = String(decoding: input, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    let request = try parse(lines)
    return await target.run { (cluster) async throws(ClientError) in
      let result: TransactionResult
      do throws(ClientError) {
        result = try await cluster.perform(request)
      } catch {
        guard case .refused(let refusal) = error, refusal.code == 13 else { throw error }
        Process.complain("error: \(refusal); nothing was changed")
        return ExitCode.conditionNotMet
      }
      if isJson { print(result.json) } else { tell(result) }
      return result.succeeded ? ExitCode.done : ExitCode.conditionNotMet
    }
  }

  private static func tell(_ result: TransactionResult) {
    print("\(result.succeeded ? "then" : "else")\trevision \(result.revision)")
    for step in result.steps {
      switch step {
      case .written(let written):
        print("written\t" + (written.number.map { "\($0)" } ?? "version \(written.version)"))
      case .removed(let removed): print("removed\t\(removed.count)")
      case .value(let found): print(found.map { "value\t\(Output.field($0.value))" } ?? "none")
      case .page(let page):
        print("list\t\(page.values.count)")
        for value in page.values {
          print("\(Output.field(value.key))\t\(Output.field(value.value))")
        }
      case .transaction(let inner): tell(inner)
      }
    }
  }

  // MARK: Lines

  static func parse(_ lines: [String]) throws(UsageError) -> TransactionRequest {
    var request = TransactionRequest()
    var isEmpty = true
    for line in lines {
      var words = try Words(line)
      guard let first = words.take(), !first.hasPrefix("#") else { continue }
      isEmpty = false
      switch first {
      case "if": request.require(try check(&words))
      case "then": try add(&words, to: &request)
      case "else":
        var other = TransactionRequest()
        try add(&words, to: &other)
        var failure: UsageError?
        var again = try Words(line)
        _ = again.take()
        request.otherwise { alternative in
          do throws(UsageError) { try add(&again, to: &alternative) } catch { failure = error }
        }
        if let failure { throw failure }
      default:
        throw UsageError(
          "a line begins with if, then or else, not '\(first)'",
          hint: "kvctl help txn"
        )
      }
    }
    guard !isEmpty else { throw UsageError("txn needs a line", hint: "kvctl help txn") }
    return request
  }

  private static func check(
    _ words: inout Words
  ) throws(UsageError) -> TransactionRequest.Check {
    let subject = try words.next("what to compare")
    let key = Array(try words.next("a key").utf8)
    let check: TransactionRequest.Check
    switch subject {
    case "exists": check = .exists(key)
    case "absent": check = .absent(key)
    case "held":
      let name = String(decoding: key, as: UTF8.self)
      check = .held(LockGrant(name: name, token: try words.number("a token")))
    case "value":
      check = .value(key, try words.relation(), Array(try words.next("a value").utf8))
    case "count":
      check = .count(.prefix(key), try words.relation(), try words.number("a number"))
    case "version": check = .version(key, try words.relation(), try words.number("a number"))
    case "created": check = .created(key, try words.relation(), try words.number("a number"))
    case "modified": check = .modified(key, try words.relation(), try words.number("a number"))
    case "lease": check = .lease(key, try words.relation(), try words.number("a number"))
    default: throw UsageError("txn can't compare '\(subject)'", hint: "kvctl help txn")
    }
    try words.finish()
    return check
  }

  private static func add(
    _ words: inout Words,
    to request: inout TransactionRequest
  ) throws(UsageError) {
    let action = try words.next("what to do")
    let key = Array(try words.next("a key").utf8)
    switch action {
    case "put": request.put(key, Array(try words.next("a value").utf8))
    case "del": request.delete(key)
    case "delprefix": request.deleteRange(.prefix(key))
    case "get": request.get(key)
    case "list": request.page(.prefix(key))
    case "add":
      let text = try words.next("a number")
      guard let number = Int64(text) else { throw UsageError("'\(text)' is not a number") }
      request.add(number, to: key)
    case "append": request.append(Array(try words.next("a text").utf8), to: key)
    default: throw UsageError("txn can't do '\(action)'", hint: "kvctl help txn")
    }
    try words.finish()
  }

  /// The words of a line.
  private struct Words {
    private let line: String
    private var words: [String] = []

    init(_ line: String) throws(UsageError) {
      self.line = line
      var word: String?
      var isQuoted = false
      var isEscaped = false
      for character in line {
        if isEscaped {
          let escapes: [Character: Character] = ["n": "\n", "t": "\t", "r": "\r", "0": "\0"]
          word = (word ?? "") + String(escapes[character] ?? character)
          isEscaped = false
        } else if isQuoted, character == "\\" {
          isEscaped = true
        } else if character == "\"" {
          isQuoted.toggle()
          word = word ?? ""
        } else if !isQuoted, character == " " || character == "\t" || character == "\r" {
          if let word { words.append(word) }
          word = nil
        } else {
          word = (word ?? "") + String(character)
        }
      }
      guard !isQuoted else { throw UsageError("a quote is not closed in: \(line)") }
      if let word { words.append(word) }
    }

    mutating func take() -> String? { words.isEmpty ? nil : words.removeFirst() }

    mutating func next(_ name: String) throws(UsageError) -> String {
      guard let word = take() else {
        throw UsageError("\(name) is missing in: \(line)", hint: "kvctl help txn")
      }
      return word
    }

    mutating func number(_ name: String) throws(UsageError) -> UInt64 {
      let text = try next(name)
      guard let number = UInt64(text) else { throw UsageError("'\(text)' is not a number") }
      return number
    }

    mutating func relation() throws(UsageError) -> Relation {
      let relations: [String: Relation] = [
        "=": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater,
        ">=": .greaterOrEqual,
      ]
      let text = try next("= or another relation")
      guard let relation = relations[text] else {
        throw UsageError("'\(text)' is none of = != < <= > >=")
      }
      return relation
    }

    func finish() throws(UsageError) {
      if let word = words.first { throw UsageError("'\(word)' is too much in: \(line)") }
    }
  }
}

extension TransactionResult {
  var json: Json {
    .object([
      ("succeeded", .flag(succeeded)), ("revision", .count(revision)),
      ("steps", .list(steps.map(\.json))),
    ])
  }
}

extension TransactionResult.Step {
  var json: Json {
    switch self {
    case .written(let written): .object([("written", written.json)])
    case .removed(let removed): .object([("removed", removed.json)])
    case .value(let found): .object([("value", found?.json ?? .null)])
    case .page(let page): .object([("page", page.json)])
    case .transaction(let inner): .object([("transaction", inner.json)])
    }
  }
}
