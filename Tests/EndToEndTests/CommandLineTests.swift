import Foundation
import Testing

/// What a person and a script see of the programs.
@Suite(.serialized) struct CommandLineTests {
  @Test func kvctlSaysAtOnceThatNobodyAnswers() throws {
    let started = ContinuousClock.now
    let get = try Kvctl(
      ["get", "k"],
      endpoints: ["unix:/tmp/roost-nobody-1", "unix:/tmp/roost-nobody-2"]
    )
    let elapsed = ContinuousClock.now - started
    #expect(get.code == 5)
    #expect(elapsed < .seconds(1), "\(elapsed)")
    #expect(get.complaint.contains("no server answered (2 tried)"))
    #expect(get.complaint.contains("unix:/tmp/roost-nobody-1  no such file or directory"))
    #expect(get.complaint.contains("hint: start a local cluster with ./cluster.sh start"))
  }

  @Test(.timeLimit(.minutes(1)))
  func aKeyIsPutReadAndRemoved() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let to = servers.endpoints
    let put = try Kvctl(["put", "k", "some value"], endpoints: to)
    #expect(put.code == 0 && put.output == "revision 1\n", "\(put.complaint)")
    let get = try Kvctl(["get", "k"], endpoints: to)
    #expect(get.code == 0 && get.output == "some value")
    let taken = try Kvctl(["put", "k", "other", "--if-absent"], endpoints: to)
    #expect(taken.code == 4)
    let input = try Kvctl(["put", "k2", "-"], endpoints: to, input: "a\nb\n")
    #expect(input.code == 0)
    #expect(try Kvctl(["get", "k2"], endpoints: to).output == "a\nb\n")
    #expect(try Kvctl(["del", "k"], endpoints: to).code == 0)
    let absent = try Kvctl(["get", "k"], endpoints: to)
    #expect(absent.code == 3 && absent.output.isEmpty)
    #expect(absent.complaint == "'k' has no value\n")
    #expect(try Kvctl(["del", "k"], endpoints: to).code == 3)
    let status = try Kvctl(["status"], endpoints: to)
    #expect(status.code == 0)
    let fields = status.output.split(separator: "\n").map { $0.split(separator: "\t") }
    #expect(fields.count == 1 && fields.first?[2] == "leader", "\(status.output)")
  }

  @Test(arguments: [
    (["gte", "k"], "did you mean 'get'?"),
    (["put", "k"], "put needs VALUE"),
    (["get"], "get needs KEY"),
    (["get", "a", "b"], "does not know what to do with 'b'"),
    (["get", "a", "--colour"], "get knows no option --colour"),
    (["get", "a", "--timeout", "soon"], "--timeout takes seconds"),
    (["del", ""], "a key has at least one byte"),
  ])
  func aMistakeIsOneLineAndExitCodeTwo(words: [String], said: String) throws {
    let result = try Kvctl(words, endpoints: ["unix:/tmp/roost-nobody"])
    #expect(result.code == 2, "\(result.complaint)")
    #expect(result.complaint.contains(said), "\(result.complaint)")
    #expect(result.output.isEmpty)
  }

  @Test func aServerRefusesWhatMakesNoSense() throws {
    let mistakes: [([String], Int32, String)] = [
      ([], 64, "--id is missing"),
      (["--id", "1", "--id", "2"], 64, "--id is given twice"),
      (["--id", "0"], 64, "takes a number from 1"),
      (words(id: "4"), 78, "not among the peers"),
      (words(peers: "1=nowhere"), 78, "is not an address"),
      (words(peers: "1=0.0.0.0:1"), 78, "can be reached from other machines"),
      (words(data: "/proc/roost"), 65, "cannot"),
    ]
    for (words, code, said) in mistakes {
      let (status, complaint) = try Self.kvd(words)
      #expect(status == code, "\(words): \(complaint)")
      #expect(complaint.contains(said), "\(words): \(complaint)")
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func twoServersNeverShareADirectory() async throws {
    let servers = try Servers(1)
    defer { servers.end() }
    _ = try await servers.leader()
    let (status, complaint) = try Self.kvd([
      "--id", "1", "--cluster", "e2e0", "--peers", "1=unix:\(servers.folder)/other", "--data",
      "\(servers.folder)/d1",
    ])
    #expect(status == 65)
    #expect(complaint.contains("another process has it"), "\(complaint)")
  }

  private func words(
    id: String = "1",
    peers: String = "1=127.0.0.1:1",
    data: String = "/tmp/roost-none"
  ) -> [String] {
    ["--id", id, "--cluster", "1", "--peers", peers, "--data", data]
  }

  private static func kvd(_ words: [String]) throws -> (Int32, String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Servers.programs + "/kvd")
    process.arguments = words
    let err = Pipe()
    process.standardError = err
    try process.run()
    let complaint = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, complaint)
  }
}
