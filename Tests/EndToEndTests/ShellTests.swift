import Foundation
import RoostClient
import Testing

/// kvctl's commands on a real cluster, as scripts use them.
@Suite(.serialized) struct ShellTests {
  private static func fields(_ output: String) -> [[String]] {
    output.split(separator: "\n").map { $0.components(separatedBy: "\t") }
  }

  @Test(.timeLimit(.minutes(5)))
  func keysCanBeWrittenUnderConditionsAndListed() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let to = servers.endpoints
    for key in ["a/1", "a/2", "b"] {
      #expect(try Kvctl(["put", key, "v \(key)"], endpoints: to).code == 0)
    }
    let all = try Kvctl(["get", "a/", "--prefix"], endpoints: to)
    #expect(all.output == "a/1\tv a/1\na/2\tv a/2\n", "\(all.complaint)")
    #expect(try Kvctl(["range", "a/2", "--keys", "--reverse"], endpoints: to).output == "b\na/2\n")
    #expect(try Kvctl(["range", "--count"], endpoints: to).output == "3\n")
    #expect(try Kvctl(["put", "b", "x", "--if-version", "7"], endpoints: to).code == 4)
    let put = try Kvctl(
      ["put", "b", "x", "--if-value", "v b", "--previous", "--json"],
      endpoints: to
    )
    #expect(
      put.code == 0
        && put.output.hasPrefix(
          #"{"revision":4,"version":2,"number":null,"previous":{"key":"b","value":"v b","#
        ),
      "\(put.output)"
    )
    #expect(try Kvctl(["get", "b", "--at", "3"], endpoints: to).output == "v b")
    let short = try Kvctl(["put", "s", "x", "--ttl", "0.2"], endpoints: to)
    #expect(short.code == 0)
    try await Self.wait { try Kvctl(["get", "s"], endpoints: to).code == 3 }
    let removed = try Kvctl(["del", "a/", "--prefix"], endpoints: to)
    #expect(removed.code == 0 && removed.output == "removed 2\n")
  }

  private static func wait(until isDone: () throws -> Bool) async throws {
    for _ in 0..<200 {
      if try isDone() { return }
      try await Task.sleep(for: .milliseconds(50))
    }
    Issue.record("it never came")
  }

  @Test(.timeLimit(.minutes(5)))
  func aTransactionIsReadFromArgumentsOrInput() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let to = servers.endpoints
    let lines = [
      "if exists a", "then put b \"x y\"", "then del a", "else put a made", "else get a",
    ]
    let first = try Kvctl(["txn"] + lines, endpoints: to)
    #expect(first.code == 4, "\(first.complaint)")
    #expect(first.output == "else\trevision 1\nwritten\tversion 1\nvalue\tmade\n")
    let text = "# a comment\n" + lines.joined(separator: "\n") + "\n"
    let second = try Kvctl(["txn"], endpoints: to, input: text)
    #expect(second.code == 0, "\(second.complaint)")
    #expect(second.output == "then\trevision 2\nwritten\tversion 1\nremoved\t1\n")
    #expect(try Kvctl(["get", "b"], endpoints: to).output == "x y")
    for line in ["when x", "if value a", "then jump a", "if value a ~ b", "then put a \"b"] {
      let wrong = try Kvctl(["txn", line], endpoints: to)
      #expect(wrong.code == 2 && wrong.output.isEmpty, "\(line): \(wrong.complaint)")
    }
  }

  @Test(.timeLimit(.minutes(5)))
  func leasesSessionsLocksAndOutcomesAreTold() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let to = servers.endpoints
    let grant = try Kvctl(["lease", "grant", "30"], endpoints: to)
    let lease = grant.output.trimmingCharacters(in: .newlines)
    #expect(try Kvctl(["put", "k", "v", "--lease", lease], endpoints: to).code == 0)
    let shown = try Kvctl(["lease", "show", lease], endpoints: to)
    #expect(shown.output.hasPrefix("\(lease)\t30000\t") && shown.output.hasSuffix("\t1\nk\n"))
    #expect(try Kvctl(["lease", "renew", lease], endpoints: to).code == 0)
    #expect(try Kvctl(["lease", "list"], endpoints: to).output.contains(lease))
    #expect(try Kvctl(["lease", "revoke", lease], endpoints: to).code == 0)
    #expect(try Kvctl(["lease", "renew", lease], endpoints: to).code == 3)
    #expect(try Kvctl(["get", "k"], endpoints: to).code == 3)
    let client = try servers.client()
    _ = try await client.acquire("mine")
    let session = try #require(await client.session())
    #expect(try Kvctl(["session", "list"], endpoints: to).output.hasPrefix("\(session)\t10000\t"))
    #expect(try Kvctl(["lock", "list"], endpoints: to).output == "mine\t1\t0\n")
    let lock = try Self.fields(Kvctl(["lock", "show", "mine"], endpoints: to).output)
    #expect(lock.first?[0] == "holds" && lock.first?[2] == "exclusive")
    #expect(try Kvctl(["outcome", "\(session)", "1"], endpoints: to).output == "executed\n")
    #expect(try Kvctl(["outcome", "\(session)", "99"], endpoints: to).output == "barred\n")
    #expect(try Kvctl(["lock", "release", "mine"], endpoints: to).code == 2)
    #expect(try Kvctl(["lock", "release", "mine", "--force"], endpoints: to).code == 0)
    #expect(try Kvctl(["lock", "show", "mine"], endpoints: to).code == 3)
  }

  @Test(.timeLimit(.minutes(5)))
  func aWatchInATerminalLosesNothingWhenTheLeaderIsKilled() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    _ = try await servers.leader()
    let to = servers.endpoints
    #expect(try Kvctl(["put", "w/0", "0"], endpoints: to).code == 0)
    let watch = try KvctlProcess(
      ["watch", "w/", "--prefix", "--from", "1", "--limit", "60"],
      endpoints: to
    )
    defer { watch.kill() }
    let writer = try servers.client()
    for number in 1..<60 {
      if number == 20 || number == 40 {
        let leader = try await servers.leader()
        servers.crash(leader)
        try servers.start(leader)
      }
      try await writer.put(Array("w/\(number)".utf8), Array("\(number)".utf8))
    }
    let result = await watch.end()
    #expect(result.code == 0, "\(result.complaint)")
    let told = Self.fields(result.output)
    #expect(told.map { $0.last } == (0..<60).map { "\($0)" })
    #expect(told.map { $0[1] }.allSatisfy { $0 == "put" })
  }

  @Test(.timeLimit(.minutes(5)))
  func leadershipIsHandedOnAndMembersAreListed() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let next = leader % 3 + 1
    let to = servers.endpoints
    let listed = try Self.fields(Kvctl(["member", "list"], endpoints: to).output)
    #expect(listed.map { $0[0] } == ["1", "2", "3"] && listed.allSatisfy { $0[2] == "voter" })
    let transfer = try Kvctl(["transfer", "\(next)"], endpoints: to)
    #expect(transfer.code == 0, "\(transfer.complaint)")
    let now = try await servers.leader()
    #expect(now == next)
  }

  @Test(.timeLimit(.minutes(5)))
  func aMemberTakesThePlaceOfAnother() async throws {
    let servers = try Servers(3)
    defer { servers.end() }
    let leader = try await servers.leader()
    let leaver = leader % 3 + 1
    let to = servers.endpoints
    #expect(try Kvctl(["put", "k", "v"], endpoints: to).code == 0)
    try servers.join(4)
    try await Self.wait { try Kvctl(["status"], endpoints: [servers.endpoint(4)]).code != 5 }
    let words = ["member", "replace", "\(leaver)", servers.endpoint(4)]
    let replaced = try Kvctl(words, endpoints: to)
    #expect(replaced.code == 0 && replaced.output == "member 4\n", "\(replaced.complaint)")
    let rest = [leader, 4].map { servers.endpoint($0) }
    let listed = try Self.fields(Kvctl(["member", "list"], endpoints: rest).output)
    #expect(Set(listed.map { $0[0] }) == Set(["1", "2", "3", "4"]).subtracting(["\(leaver)"]))
    #expect(listed.allSatisfy { $0[2] == "voter" && $0[3] == "voter" }, "\(listed)")
    let again = try Kvctl(words, endpoints: rest)
    #expect(again.code == 0, "what is so already is no change: \(again.complaint)")
    let found = try Kvctl(["get", "k"], endpoints: [servers.endpoint(4)])
    #expect(found.output == "v", "\(found.complaint)")
  }

  @Test(arguments: [
    (["lock"], "lock needs NAME -- COMMAND"),
    (["lock", "x"], "lock needs a command to run"),
    (["lock", "x", "--ttl", "0.1", "--", "true"], "--ttl takes 1 to 3600 seconds"),
    (["lock", "x", "--permits", "3/2", "--", "true"], "--permits takes K/N"),
    (["lease", "keep", "soon"], "ID is a number"),
    (["member", "eat", "1"], "there is no kvctl member eat"),
    (["put", "a", "b", "--ttl", "5", "--lease", "7"], "one of them"),
    (["put", "a", "b", "--lock", "l"], "--lock and --token go together"),
    (["watch"], "watch needs KEY"),
    (["outcome", "0", "1"], "numbered from 1"),
  ])
  func mistakesAreExplained(words: [String], said: String) throws {
    let result = try Kvctl(words, endpoints: ["unix:/tmp/roost-nobody"])
    #expect(result.code == 2, "\(result.complaint)")
    #expect(result.complaint.contains(said), "\(result.complaint)")
  }
}
