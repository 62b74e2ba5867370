internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl lease`.
enum LeaseCommand {
  static let explanation = """
    usage: kvctl lease grant SECONDS        ask for a lease, and print its number
           kvctl lease renew ID ...         let leases live anew; exit code 3 if one has ended
           kvctl lease revoke ID            end a lease, and remove its keys
           kvctl lease list                 all leases: number, lifetime, rest, keys (times in milliseconds)
           kvctl lease show ID              one lease, or session, and its keys
           kvctl lease keep ID              renew a lease until Ctrl-C, or until it has ended: exit code 3

    Keys are attached with kvctl put KEY VALUE --lease ID, and go when their lease ends. --json prints JSON.
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let isJson = try arguments.flag("json")
    let action = try arguments.next("grant, renew, revoke, list, show or keep", of: "lease")
    switch action {
    case "grant":
      let time = try Arguments.seconds(try arguments.next("SECONDS", of: "lease"), "a lease")
      try arguments.finish("lease")
      return await target.run { (cluster) async throws(ClientError) in
        let lease = try await cluster.grantLease(time)
        print(isJson ? "\(Json.object([("id", .count(lease.id))]))" : "\(lease.id)")
        return ExitCode.done
      }
    case "renew": return try await renew(&arguments, target)
    case "revoke":
      let id = try arguments.nextNumber("ID", of: "lease")
      try arguments.finish("lease")
      return await target.run { (cluster) async throws(ClientError) in
        do throws(ClientError) {
          try await cluster.revoke(id)
          return ExitCode.done
        } catch {
          guard case .refused(let refusal) = error, refusal.code == 16 else { throw error }
          return hasEnded(id)
        }
      }
    case "list":
      try arguments.finish("lease")
      return await target.run { (cluster) async throws(ClientError) in
        try await list(cluster, isJson)
      }
    case "show":
      let id = try arguments.nextNumber("ID", of: "lease")
      try arguments.finish("lease")
      return await target.run { (cluster) async throws(ClientError) in
        guard let (report, keys) = try await cluster.lease(id) else { return hasEnded(id) }
        if isJson { print(report.json) } else { show([report]) }
        if !isJson { for key in keys { print(Output.field(key)) } }
        return ExitCode.done
      }
    case "keep":
      let id = try arguments.nextNumber("ID", of: "lease")
      try arguments.finish("lease")
      return await target.run { (cluster) async throws(ClientError) in
        guard let (report, _) = try await cluster.lease(id, keys: 0) else { return hasEnded(id) }
        await cluster.keep(report.lease)
        Process.complain("keeping lease \(id) alive; Ctrl-C ends it")
        return await cluster.end(of: report.lease) ? hasEnded(id) : ExitCode.done
      }
    default:
      throw UsageError("there is no kvctl lease \(action)", hint: "kvctl help lease")
    }
  }

  private static func renew(
    _ arguments: inout Arguments,
    _ target: Target
  ) async throws(UsageError) -> Int32 {
    var ids = [try arguments.nextNumber("ID", of: "lease")]
    while arguments.hasWord { ids.append(try arguments.nextNumber("ID", of: "lease")) }
    try arguments.finish("lease")
    return await target.run { [ids] (cluster) async throws(ClientError) in
      let lives = try await cluster.renew(ids)
      var code = ExitCode.done
      for (id, lives) in zip(ids, lives) where !lives { code = hasEnded(id) }
      return code
    }
  }

  private static func hasEnded(_ id: UInt64) -> Int32 {
    Process.complain("lease \(id) has ended, or never was")
    return ExitCode.notFound
  }

  private static func list(
    _ cluster: Cluster,
    _ isJson: Bool
  ) async throws(ClientError) -> Int32 {
    var all: [LeaseReport] = []
    while true {
      let page = try await cluster.leases(after: all.last?.lease.id ?? 0)
      all += page
      if page.isEmpty { break }
    }
    if isJson { print(Json.list(all.map(\.json))) } else { show(all) }
    return ExitCode.done
  }

  private static func show(_ reports: [LeaseReport]) {
    Output.table(
      ["LEASE", "LIFETIME", "REST", "KEYS"],
      reports.map {
        [
          "\($0.lease.id)", "\($0.lease.lifetime.milliseconds)", "\($0.remaining.milliseconds)",
          "\($0.keyCount)",
        ]
      }
    )
  }
}

extension LeaseReport {
  var json: Json {
    .object([
      ("id", .count(lease.id)), ("lifetimeMilliseconds", .number(lease.lifetime.milliseconds)),
      ("restMilliseconds", .number(remaining.milliseconds)), ("keys", .number(Int64(keyCount))),
      ("session", owner.map { .count($0) } ?? .null),
    ])
  }
}
