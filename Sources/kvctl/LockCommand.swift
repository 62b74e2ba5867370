internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl lock`.
enum LockCommand {
  static let explanation = """
    usage: kvctl lock NAME [--shared | --permits K/N] [--ttl SECONDS] [--wait SECONDS] -- COMMAND ...
           kvctl lock list                    locks in use: name, holders, waiters
           kvctl lock show NAME               who holds it and who waits
           kvctl lock release NAME --force    take it from whoever holds it

    Runs COMMAND while it holds the lock NAME, and gives the lock back. --wait 0 does not wait for it; without --wait it waits as long as it
    takes. Several names separated by commas are taken all or none. COMMAND finds in its environment ROOST_LOCK, the name, and ROOST_TOKEN, a
    number that is greater than that of every holder before: kvctl put KEY VALUE --lock "$ROOST_LOCK" --token "$ROOST_TOKEN" is refused once
    the lock is lost.
    The lock lives for --ttl seconds (10) from its last renewal. If it can't be renewed, COMMAND gets SIGTERM a tenth of that before its end, and
    SIGKILL before another can have the lock, with all processes of its group; a process beside kvctl sees to that even while kvctl itself is stopped or
    killed. Only where both are stopped (a frozen machine) can COMMAND outlive the lock, and then the token fences it off.
    Exit code: COMMAND's own, 128 and the number of the signal that ended it, 126 if it can't be started, or
      120  the lock was lost, and COMMAND was stopped
      121  others hold the lock; COMMAND was not started
      122  the cluster could not be asked, or refused; COMMAND was not started
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    if let command = arguments.takeCommand() {
      return try await LockHolder.run(&arguments, target, command)
    }
    let isJson = try arguments.flag("json")
    let isForced = try arguments.flag("force")
    let action = try arguments.next("NAME -- COMMAND, or list, show or release", of: "lock")
    switch action {
    case "list":
      try arguments.finish("lock")
      return await target.run { (cluster) async throws(ClientError) in
        try await list(cluster, isJson)
        return ExitCode.done
      }
    case "show":
      let name = try arguments.next("NAME", of: "lock")
      try arguments.finish("lock")
      return await target.run { (cluster) async throws(ClientError) in
        let lock = try await cluster.lock(name)
        if isJson { print(lock.json) } else { show(lock) }
        return lock.holders.isEmpty && lock.waiters.isEmpty ? ExitCode.notFound : ExitCode.done
      }
    case "release":
      let name = try arguments.next("NAME", of: "lock")
      try arguments.finish("lock")
      guard isForced else {
        throw UsageError(
          "a lock is given back by its holder; --force takes it away, and voids the holder's token"
        )
      }
      return await target.run { (cluster) async throws(ClientError) in
        do throws(ClientError) {
          try await cluster.forceRelease(name)
          return ExitCode.done
        } catch {
          guard case .refused(let refusal) = error, refusal.code == 22 else { throw error }
          Process.complain("nobody holds '\(name)'")
          return ExitCode.notFound
        }
      }
    default:
      throw UsageError(
        "lock needs a command to run, or list, show or release",
        hint: "kvctl lock \(action) -- COMMAND"
      )
    }
  }

  private static func list(_ cluster: Cluster, _ isJson: Bool) async throws(ClientError) {
    var locks: [LockSummaryReport] = []
    while true {
      // The name behind the last one is that with one more byte.
      let page = try await cluster.locks(from: locks.last.map { $0.name + [0] } ?? [])
      if page.isEmpty { break }
      locks += page
    }
    if isJson {
      print(Json.list(locks.map(\.json)))
    } else {
      Output.table(
        ["LOCK", "HOLDERS", "WAITERS"],
        locks.map { [Output.field($0.name), "\($0.holders)", "\($0.waiters)"] }
      )
    }
  }

  private static func show(_ lock: LockReport) {
    let rows = (lock.holders + lock.waiters).map { claim in
      [
        claim.token == nil ? "waits" : "holds", claim.token.map { "\($0)" } ?? "-", claim.mode,
        "\(claim.age.milliseconds)", "\(claim.request)", Output.field(Array(claim.label.utf8)),
      ]
    }
    Output.table(["STATE", "TOKEN", "MODE", "FOR MS", "SESSION AND REQUEST", "WHO"], rows)
    let more = lock.waiterCount - lock.waiters.count
    if more > 0 { Process.complain("and \(more) more wait") }
    if lock.rests > .zero { Process.complain("it rests for \(lock.rests.milliseconds) ms") }
  }
}

extension LockSummaryReport {
  var json: Json {
    .object([
      Json.field("name", name), ("holders", .number(Int64(holders))),
      ("waiters", .number(Int64(waiters))),
    ])
  }
}

extension LockReport {
  var json: Json {
    .object([
      ("holders", .list(holders.map(\.json))), ("waiters", .list(waiters.map(\.json))),
      ("waiterCount", .number(Int64(waiterCount))),
      ("restsMilliseconds", .number(rests.milliseconds)),
    ])
  }
}

extension LockReport.Claim {
  var json: Json {
    .object([
      ("token", token.map { .count($0) } ?? .null), ("mode", .text(mode)),
      ("ageMilliseconds", .number(age.milliseconds)), ("session", .count(request.session)),
      ("sequence", .count(request.sequence)), ("label", .text(label)),
    ])
  }
}
