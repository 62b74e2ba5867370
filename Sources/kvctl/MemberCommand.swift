internal import RoostClient
internal import RoostPlatform

/// Implements `kvctl member` and `kvctl transfer`.
enum MemberCommand {
  static let explanation = """
    usage: kvctl member list                        the members, as the leader knows them
           kvctl member add ADDRESS [--learner]     add the server at ADDRESS, started with kvd --join
           kvctl member promote ID                  give a learner a vote
           kvctl member demote ID                   make a voter a learner
           kvctl member remove ID                   let a member go
           kvctl member replace ID ADDRESS          the server at ADDRESS takes the place of a member, in one step
           kvctl member move ID ADDRESS             the member lives at ADDRESS from now on, where it has been started
           kvctl member priority ID N               0: leads as a last resort; the greatest among the healthy leads

    A new voter first learns the log, and gets its vote by itself. The command waits for that, --timeout seconds (60 here) at most; a change that
    has begun goes on without it, and the same command may be given again. A change that would cost the cluster its majority is refused.
    """

  static let transferExplanation = """
    usage: kvctl transfer [ID]

    Hands leadership to member ID, or to whoever is best placed. Requests that come meanwhile wait a moment.
    """

  static func run(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let hasTimeout = arguments.has("timeout")
    let target = try Target(&arguments)
    let isJson = try arguments.flag("json")
    let isLearner = try arguments.flag("learner")
    let limit = hasTimeout ? target.configuration.timeout : .seconds(60)
    let action = try arguments.next(
      "list, add, promote, demote, remove, replace, move or priority",
      of: "member"
    )
    switch action {
    case "list":
      try arguments.finish("member")
      return await target.run { (cluster) async throws(ClientError) in await list(cluster, isJson) }
    case "add":
      let address = try arguments.next("ADDRESS", of: "member")
      try arguments.finish("member")
      return await target.run { (cluster) async throws(ClientError) in
        let new = try await newcomer(at: address, isLearner ? .learner : .voter)
        try await cluster.change([new.wish], within: limit)
        print("member \(new.id)")
        return ExitCode.done
      }
    case "replace", "move":
      let id = try arguments.nextNumber("ID", of: "member")
      let address = try arguments.next("ADDRESS", of: "member")
      try arguments.finish("member")
      return await target.run { (cluster) async throws(ClientError) in
        let isMove = action == "move"
        return try await (isMove ? move : replace)(id, address, cluster, limit)
      }
    case "priority":
      let id = try arguments.nextNumber("ID", of: "member")
      let priority = try arguments.nextNumber("N", of: "member")
      try arguments.finish("member")
      guard priority < 255 else { throw UsageError("a priority is 0 to 254") }
      return await target.run { (cluster) async throws(ClientError) in
        let goal = try await goal(of: id, in: cluster)
        let wish = MembershipWish(id, goal, priority: UInt8(priority))
        try await cluster.change([wish], within: limit)
        return ExitCode.done
      }
    case "promote", "demote", "remove":
      let id = try arguments.nextNumber("ID", of: "member")
      try arguments.finish("member")
      let goals: [String: MembershipGoal] = [
        "promote": .voter, "demote": .learner, "remove": .gone,
      ]
      guard let goal = goals[action], id > 0 else { throw UsageError("members count from 1") }
      return await target.run { (cluster) async throws(ClientError) in
        try await cluster.change([MembershipWish(id, goal)], within: limit)
        return ExitCode.done
      }
    default:
      throw UsageError("there is no kvctl member \(action)", hint: "kvctl help member")
    }
  }

  static func transfer(_ arguments: inout Arguments) async throws(UsageError) -> Int32 {
    let target = try Target(&arguments)
    let id = arguments.hasWord ? try arguments.nextNumber("ID", of: "transfer") : nil
    try arguments.finish("transfer")
    return await target.run { (cluster) async throws(ClientError) in
      try await cluster.transferLeadership(to: id)
      return ExitCode.done
    }
  }

  private static func replace(
    _ id: UInt64,
    _ address: String,
    _ cluster: Cluster,
    _ limit: Duration
  ) async throws(ClientError) -> Int32 {
    let new = try await newcomer(at: address, .voter)
    try await cluster.change([new.wish, MembershipWish(id, .gone)], within: limit)
    print("member \(new.id)")
    return ExitCode.done
  }

  private static func move(
    _ id: UInt64,
    _ address: String,
    _ cluster: Cluster,
    _ limit: Duration
  ) async throws(ClientError) -> Int32 {
    let found = try await newcomer(at: address, goal(of: id, in: cluster))
    guard found.id == id else { throw .invalid("at \(address) is member \(found.id), not \(id)") }
    try await cluster.change([found.wish], within: limit)
    return ExitCode.done
  }

  /// What a member is, and shall stay.
  private static func goal(
    of id: UInt64,
    in cluster: Cluster
  ) async throws(ClientError) -> MembershipGoal {
    let states = await cluster.status().compactMap(\.status)
    let newest = states.max { $0.membershipVersion < $1.membershipVersion }
    guard let member = newest?.members.first(where: { $0.id == id }) else {
      throw .invalid("there is no member \(id); kvctl member list names them")
    }
    return member.goal == "learner" ? .learner : .voter
  }

  /// Asks a server who it is.
  private static func newcomer(
    at address: String,
    _ goal: MembershipGoal
  ) async throws(ClientError) -> (id: UInt64, wish: MembershipWish) {
    var configuration = ClientConfiguration(endpoints: [address])
    configuration.failsFast = true
    configuration.sessionLifetime = nil
    let cluster = try Cluster(configuration)
    let report = await cluster.status().first
    await cluster.close()
    guard let state = report?.status else {
      throw .invalid("no server answers at \(address): \(report?.failure ?? "no answer")")
    }
    let wish = MembershipWish(
      state.id,
      goal,
      address: address,
      incarnation: state.incarnation
    )
    return (state.id, wish)
  }

  private static func list(_ cluster: Cluster, _ isJson: Bool) async -> Int32 {
    let states = await cluster.status().compactMap(\.status)
    let newest = states.max { $0.membershipVersion < $1.membershipVersion }
    guard let state = states.first(where: { $0.role == .leader }) ?? newest else {
      Process.complain("error: no server answered")
      return ExitCode.unreachable
    }
    if isJson {
      let fields: [(String, Json)] = [
        ("version", .count(state.membershipVersion)), ("changing", .flag(state.isChanging)),
        ("leader", state.leader.map { .count($0) } ?? .null),
        ("members", .list(state.members.map(\.json))),
      ]
      print(Json.object(fields))
      return ExitCode.done
    }
    let rows = state.members.map { member in
      [
        "\(member.id)", member.address, member.isVoter ? "voter" : "learner", member.goal,
        "\(member.priority)", "\(member.matched)", member.id == state.leader ? "leads" : "-",
      ]
    }
    Output.table(["NODE", "ADDRESS", "IS", "BECOMES", "PRIORITY", "HAS", "LEADS"], rows)
    return ExitCode.done
  }
}

extension MemberState.Member {
  var json: Json {
    .object([
      ("id", .count(id)), ("address", .text(address)), ("voter", .flag(isVoter)),
      ("goal", .text(goal)), ("priority", .number(Int64(priority))), ("matched", .count(matched)),
    ])
  }
}
