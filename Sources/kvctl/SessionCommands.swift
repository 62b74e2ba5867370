internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl outcome SESSION SEQUENCE`.
enum OutcomeCommand {
  static let explanation = """
    usage: kvctl outcome SESSION SEQUENCE

    Asks what became of a request, by the session and number that a program was told when it got no answer. Prints one of
      executed    it took effect
      refused     it was refused, and had no effect
      barred      it was not executed, and from now on never will be
      waiting     it waits for a lock
      forgotten   nobody knows any more: exit code 7
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let session = try arguments.nextNumber("SESSION", of: "outcome")
    let sequence = try arguments.nextNumber("SEQUENCE", of: "outcome")
    try arguments.finish("outcome")
    return await target.run { (cluster) async throws(ClientError) in
      let request = RequestID(session: session, sequence: sequence)
      switch try await cluster.outcome(of: request) {
      case .executed: print("executed")
      case .refused(let refusal):
        print("refused")
        Process.complain("\(refusal)")
      case .barred: print("barred")
      case .waiting: print("waiting")
      case .forgotten:
        print("forgotten")
        return ExitCode.unknownOutcome
      }
      return ExitCode.done
    }
  }
}

/// Implements `kvctl session list`.
enum SessionCommand {
  static let explanation = """
    usage: kvctl session list

    Prints who is connected under a session: number, lifetime and rest in milliseconds, how many keys live as
    long as it does (kvctl lease show SESSION names them), how many locks it holds or waits for, and who it is. --json prints JSON.
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let isJson = try arguments.flag("json")
    let action = try arguments.next("list", of: "session")
    guard action == "list" else {
      throw UsageError("there is no kvctl session \(action)", hint: "kvctl help session")
    }
    try arguments.finish("session")
    return await target.run { (cluster) async throws(ClientError) in
      var all: [SessionReport] = []
      while true {
        let page = try await cluster.sessions(after: all.last?.id ?? 0)
        all += page
        if page.isEmpty { break }
      }
      if isJson {
        print(Json.list(all.map(\.json)))
      } else {
        Output.table(
          ["SESSION", "LIFETIME", "REST", "KEYS", "LOCKS", "WHO"],
          all.map {
            [
              "\($0.id)", "\($0.lifetime.milliseconds)", "\($0.remaining.milliseconds)",
              "\($0.keys)",
              "\($0.locks)",
              Output.field(Array($0.label.utf8)),
            ]
          }
        )
      }
      return ExitCode.done
    }
  }
}

extension SessionReport {
  var json: Json {
    .object([
      ("id", .count(id)), ("lifetimeMilliseconds", .number(lifetime.milliseconds)),
      ("restMilliseconds", .number(remaining.milliseconds)), ("keys", .count(keys)),
      ("locks", .count(locks)), ("label", .text(label)),
    ])
  }
}
