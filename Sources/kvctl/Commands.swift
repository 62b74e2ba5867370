internal import RoostClient
internal import RoostPlatform

/// What the exit code tells a script.
enum ExitCode {
  static let done: Int32 = 0
  static let failed: Int32 = 1
  static let usage: Int32 = 2
  static let notFound: Int32 = 3
  static let conditionNotMet: Int32 = 4
  static let unreachable: Int32 = 5
  static let noQuorum: Int32 = 6
  static let unknownOutcome: Int32 = 7
  static let tornTail: Int32 = 8
  static let damaged: Int32 = 9
  static let compacted: Int32 = 10
  static let lockLost: Int32 = 120
  static let lockBusy: Int32 = 121
  static let notLocked: Int32 = 122
  static let notStarted: Int32 = 126
}

extension CommandLine {
  static let version = "0.1.0"

  /// Does what the words say, and answers the exit code.
  static func run(_ words: [String]) async -> Int32 {
    do throws(UsageError) {
      var arguments = try Arguments(words)
      let wantsHelp = try arguments.flag("help")
      guard let first = arguments.nextIfAny() else {
        print(overview)
        return wantsHelp ? ExitCode.done : ExitCode.usage
      }
      guard let command = Subcommand(rawValue: first) else {
        throw UsageError("there is no command '\(first)'", hint: suggestion(for: first))
      }
      if wantsHelp {
        print(command.explanation)
        return ExitCode.done
      }
      return try await run(command, &arguments)
    } catch {
      Process.complain("error: \(error.message)")
      if let hint = error.hint { Process.complain("hint: \(hint)") }
      return ExitCode.usage
    }
  }

  private static func run(
    _ command: Subcommand,
    _ arguments: inout Arguments
  ) async throws(UsageError) -> Int32 {
    switch command {
    case .help:
      guard let topic = arguments.nextIfAny() else {
        print(overview)
        return ExitCode.done
      }
      guard let known = Subcommand(rawValue: topic) else {
        throw UsageError("there is no command '\(topic)'", hint: suggestion(for: topic))
      }
      print(known.explanation)
      return ExitCode.done
    case .version:
      print("kvctl \(version)")
      return ExitCode.done
    case .put: return try await Put.run(&arguments)
    case .get: return try await Get.run(&arguments)
    case .range: return try await Range.run(&arguments)
    case .del: return try await Del.run(&arguments)
    case .txn: return try await TransactionCommand.run(&arguments)
    case .watch: return try await WatchCommand.run(&arguments)
    case .lease: return try await LeaseCommand.run(&arguments)
    case .lock: return try await LockCommand.run(&arguments)
    case .status: return try await Status.run(&arguments)
    case .member: return try await MemberCommand.run(&arguments)
    case .transfer: return try await MemberCommand.transfer(&arguments)
    case .session: return try await SessionCommand.run(&arguments)
    case .outcome: return try await OutcomeCommand.run(&arguments)
    case .journal: return try JournalCommand.run(&arguments)
    }
  }

  private static var overview: String {
    let commands = Subcommand.allCases.map { "  " + $0.synopsis }.joined(separator: "\n")
    return """
      usage: kvctl [OPTIONS] COMMAND

      \(commands)

      options:
        --endpoints A,B,C   nodes to ask (or KVCTL_ENDPOINTS); default 127.0.0.1:7401, :7402 and :7403
        --timeout SECONDS   how long a command may take, retries included; default 5

      exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 condition not met, 5 no server reachable,
      6 no leader or quorum, nothing was changed, 7 nobody knows whether it was done, 8 journal with a torn tail,
      9 damaged journal, 10 history is gone; kvctl lock has its own, see kvctl help lock
      """
  }

  private static func suggestion(for word: String) -> String {
    let near = Subcommand.allCases.filter { distance(word, $0.rawValue) <= 2 }
    let best = near.min { distance(word, $0.rawValue) < distance(word, $1.rawValue) }
    return best.map { "did you mean '\($0.rawValue)'?" } ?? "kvctl help lists what there is"
  }

  /// How many letters must be changed, added or removed to get from one word to the other.
  private static func distance(_ left: String, _ right: String) -> Int {
    let right = Array(right)
    var row = Array(0...right.count)
    for (place, letter) in left.enumerated() {
      var diagonal = row[0]
      row[0] = place + 1
      for index in right.indices {
        let cost = diagonal + (letter == right[index] ? 0 : 1)
        diagonal = row[index + 1]
        row[index + 1] = min(cost, row[index] + 1, row[index + 1] + 1)
      }
    }
    return row[right.count]
  }
}

/// The cluster that the options name.
struct Target {
  let configuration: ClientConfiguration

  init(_ arguments: inout Arguments) throws(UsageError) {
    var configuration = ClientConfiguration()
    let named = try arguments.value(of: "endpoints") ?? Process.environment("KVCTL_ENDPOINTS")
    if let named {
      configuration.endpoints = named.split(separator: ",").map {
        String($0.drop { $0 == " " })
      }
      guard !configuration.endpoints.isEmpty else {
        throw UsageError("no endpoint is named", hint: "--endpoints 127.0.0.1:7401,127.0.0.1:7402")
      }
    }
    if let timeout = try arguments.seconds(of: "timeout") { configuration.timeout = timeout }
    // A command makes one request: a session would cost it a round trip and a sync.
    configuration.sessionLifetime = nil
    configuration.failsFast = true
    configuration.label = "\(Process.host) \(Process.id) kvctl"
    self.configuration = configuration
  }

  init(_ configuration: ClientConfiguration) { self.configuration = configuration }

  /// Runs `body` against the cluster; what fails is told, and becomes the exit code.
  func run(_ body: (Cluster) async throws(ClientError) -> Int32) async -> Int32 {
    do throws(ClientError) {
      let cluster = try Cluster(configuration)
      return try await body(cluster)
    } catch {
      return report(error)
    }
  }

  func report(_ error: ClientError) -> Int32 {
    Process.complain("error: \(error)")
    switch error {
    case .unreachable(let attempt):
      complain(attempt)
      Process.complain(
        "hint: start a local cluster with ./cluster.sh start, or name others with --endpoints or KVCTL_ENDPOINTS"
      )
      complainOfOutcome(error)
      return error.mayHaveHappened ? ExitCode.unknownOutcome : ExitCode.unreachable
    case .noQuorum(let attempt):
      complain(attempt)
      complainOfOutcome(error)
      Process.complain(
        "hint: kvctl status shows who is missing; kvctl get KEY --local reads without a leader"
      )
      return error.mayHaveHappened ? ExitCode.unknownOutcome : ExitCode.noQuorum
    case .timedOut(let attempt):
      complain(attempt)
      complainOfOutcome(error)
      return error.mayHaveHappened ? ExitCode.unknownOutcome : ExitCode.failed
    case .invalid, .badEndpoint:
      return ExitCode.usage
    default:
      complainOfOutcome(error)
      return error.mayHaveHappened ? ExitCode.unknownOutcome : ExitCode.failed
    }
  }

  private func complain(_ attempt: Attempt) {
    let width = attempt.endpoints.map(\.address.count).max() ?? 0
    for tried in attempt.endpoints {
      let padding = String(repeating: " ", count: width - tried.address.count)
      Process.complain(
        "  \(tried.address)\(padding)  \(tried.failure ?? "connected, but gave no answer")"
      )
    }
  }

  private func complainOfOutcome(_ error: ClientError) {
    // A read changes nothing, and its end leaves no doubt.
    if case .compacted = error { return }
    Process.complain(
      error.mayHaveHappened
        ? "nobody knows whether it was done, or still will be: look before you ask again"
        : "nothing was changed"
    )
  }
}
