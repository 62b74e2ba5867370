import Foundation
import RoostClient
import Testing

/// Real `kvd` processes on unix sockets in a folder of their own, killed and removed at the end.
final class Servers {
  let folder: String
  let count: Int
  private let options: [String]
  private let openFiles: Int?
  private var processes: [Int: Process] = [:]
  private var mounts: [String] = []

  /// Where the programs of this build are.
  static let programs: String = {
    let arguments = CommandLine.arguments
    if let place = arguments.firstIndex(of: "--test-bundle-path"), place + 1 < arguments.count {
      return URL(fileURLWithPath: arguments[place + 1]).deletingLastPathComponent().path
    }
    let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return own.deletingLastPathComponent().path
  }()

  /// Whether each node has a small disk of its own.
  private(set) var hasOwnDisks = false

  /// Starts `count` nodes; with `diskMegabytes` each in a file system of that size, if the machine lets us mount one.
  init(
    _ count: Int,
    _ options: [String] = [],
    diskMegabytes: Int? = nil,
    openFiles: Int? = nil
  ) throws {
    self.count = count
    self.options = options
    self.openFiles = openFiles
    // Short, since the path of a unix socket is.
    folder = "/tmp/roost-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    if let diskMegabytes {
      hasOwnDisks = true
      for node in 1...count { hasOwnDisks = try mount(node, diskMegabytes) && hasOwnDisks }
    }
    for node in 1...count { try start(node, ["--found"]) }
  }

  func end() {
    for process in processes.values where process.isRunning {
      kill(process.processIdentifier, SIGKILL)
    }
    for process in processes.values { process.waitUntilExit() }
    for mount in mounts { _ = try? Self.run("/usr/bin/umount", ["-l", mount]) }
    try? FileManager.default.removeItem(atPath: folder)
  }

  // MARK: Small disks

  private func mount(_ node: Int, _ megabytes: Int) throws -> Bool {
    let path = "\(folder)/d\(node)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    let options = ["-t", "tmpfs", "-o", "size=\(megabytes)m,mode=0700", "tmpfs", path]
    guard try Self.run("/usr/bin/mount", options) == 0 else { return false }
    mounts.append(path)
    // Where the size isn't kept, filling the disk would fill the machine.
    let found = try FileManager.default.attributesOfFileSystem(forPath: path)[.systemSize]
    return (found as? NSNumber).map { $0.intValue <= megabytes << 20 } ?? false
  }

  /// Runs a program of the system; -1 if there is none.
  private static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
    guard FileManager.default.isExecutableFile(atPath: program) else { return -1 }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Takes all room on a node's disk but a few pages.
  func fillDisk(of node: Int) throws {
    let path = "\(folder)/d\(node)/ballast"
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let file = try #require(FileHandle(forWritingAtPath: path))
    let block = Data(count: 1 << 16)
    while (try? file.write(contentsOf: block)) != nil {}
    try? file.close()
  }

  func emptyDisk(of node: Int) throws {
    try FileManager.default.removeItem(atPath: "\(folder)/d\(node)/ballast")
  }

  func processNumber(of node: Int) throws -> Int32 {
    try #require(processes[node]).processIdentifier
  }

  /// Takes from a process that runs the right to have more than `count` descriptors.
  func limitDescriptors(of node: Int, to count: Int) throws {
    let number = try processNumber(of: node)
    let arguments = ["--pid", "\(number)", "--nofile=\(count):\(count)"]
    try #require(try Self.run("/usr/bin/prlimit", arguments) == 0)
  }

  /// The memory that a process holds.
  func residentBytes(of node: Int) throws -> Int {
    let number = try processNumber(of: node)
    let text = try String(contentsOfFile: "/proc/\(number)/statm", encoding: .utf8)
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
  }

  /// How many descriptors a process has open.
  func descriptorCount(of node: Int) throws -> Int {
    let number = try processNumber(of: node)
    return try FileManager.default.contentsOfDirectory(atPath: "/proc/\(number)/fd").count
  }

  func endpoint(_ node: Int) -> String { "unix:\(folder)/n\(node)" }
  /// How much there is of a snapshot that a node receives.
  func partialByteCount(of node: Int) -> Int {
    let folder = URL(fileURLWithPath: "\(folder)/d\(node)")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let sizes = names.filter { $0.hasSuffix(".partial") }.map { name in
      let path = folder.appendingPathComponent(name).path
      return (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
    }
    return sizes.max() ?? 0
  }

  var endpoints: [String] { (1...count).map { endpoint($0) } }

  func log(_ node: Int) -> String {
    (try? String(contentsOfFile: "\(folder)/n\(node).log", encoding: .utf8)) ?? ""
  }

  func anyLog(contains words: String) -> Bool { (1...count).contains { log($0).contains(words) } }

  /// Starts a node that waits to be added, or one that was.
  func join(_ node: Int) throws {
    try run(node, ["--join", "--listen", endpoint(node)])
  }

  func start(_ node: Int, _ more: [String] = []) throws {
    let peers = (1...count).map { "\($0)=\(endpoint($0))" }.joined(separator: ",")
    try run(node, ["--peers", peers] + more)
  }

  /// Starts a node at another address than the others know.
  func start(_ node: Int, at address: String) throws { try start(node, ["--listen", address]) }

  private func run(_ node: Int, _ more: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.programs + "/kvd")
    process.arguments = [
      "--id", "\(node)", "--cluster", "e2e0", "--data", "\(folder)/d\(node)",
    ]
    process.arguments? += options + more
    if let openFiles, let program = process.executableURL?.path {
      process.executableURL = URL(fileURLWithPath: "/bin/sh")
      let limited = ["-c", "ulimit -n \(openFiles) && exec \"$0\" \"$@\"", program]
      process.arguments = limited + (process.arguments ?? [])
    }
    let path = "\(folder)/n\(node).log"
    if !FileManager.default.fileExists(atPath: path) {
      _ = FileManager.default.createFile(atPath: path, contents: nil)
    }
    let log = try #require(FileHandle(forWritingAtPath: path))
    try log.seekToEnd()
    process.standardError = log
    process.standardInput = FileHandle.nullDevice
    try process.run()
    processes[node] = process
  }

  /// Ends a process as a crash would, and waits until it is gone.
  func crash(_ node: Int) {
    guard let process = processes[node], process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// Ends a process politely, and answers its exit code.
  func stop(_ node: Int) -> Int32? {
    guard let process = processes[node], process.isRunning else { return nil }
    process.terminate()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// The processor time that a process has used, in hundredths of a second.
  func processorTicks(of node: Int) throws -> Int {
    let number = try processNumber(of: node)
    let line = try String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)
    let fields = line.split(separator: ")").last?.split(separator: " ") ?? []
    return [11, 12].compactMap { Int(fields[$0]) }.reduce(0, +)
  }

  /// Waits until a process ends by itself, and answers its exit code.
  func waitForEnd(of node: Int) -> Int32? {
    processes[node]?.waitUntilExit()
    return processes[node]?.terminationStatus
  }

  func pause(_ node: Int) { signal(SIGSTOP, to: node) }
  func resume(_ node: Int) { signal(SIGCONT, to: node) }

  private func signal(_ number: Int32, to node: Int) {
    guard let process = processes[node], process.isRunning else { return }
    kill(process.processIdentifier, number)
  }

  /// A client of all nodes, or of some.
  func client(of nodes: [Int]? = nil, timeout: Duration = .seconds(30)) throws -> Cluster {
    var configuration = ClientConfiguration(
      endpoints: nodes.map { $0.map { endpoint($0) } } ?? endpoints
    )
    configuration.timeout = timeout
    return try Cluster(configuration)
  }

  /// The newest term that any node knows.
  func term() async throws -> UInt64 {
    try await client().status().compactMap(\.status?.term).max() ?? 0
  }

  /// Waits until some node leads, and answers which.
  func leader() async throws -> Int {
    let cluster = try client(timeout: .seconds(2))
    let start = ContinuousClock.now
    while ContinuousClock.now - start < .seconds(60) {
      let states = await cluster.status().compactMap(\.status)
      let newest = states.map(\.term).max() ?? 0
      let leaders = states.filter { $0.role == .leader && $0.term == newest }
      if let leader = leaders.first, states.filter({ $0.leader == leader.id }).count * 2 > count {
        return Int(leader.id)
      }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw NoLeader(logs: (1...count).map { log($0) })
  }

  struct NoLeader: Error {
    let logs: [String]
  }
}

/// Runs `kvctl` and answers what it said.
struct Kvctl {
  let code: Int32
  let output: String
  let complaint: String

  init(_ arguments: [String], endpoints: [String], input: String? = nil) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Servers.programs + "/kvctl")
    let named = endpoints.isEmpty ? [] : ["--endpoints", endpoints.joined(separator: ",")]
    process.arguments = named + arguments
    let (out, err, inlet) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = out
    process.standardError = err
    process.standardInput = inlet
    try process.run()
    inlet.fileHandleForWriting.write(Data((input ?? "").utf8))
    try inlet.fileHandleForWriting.close()
    output = String(decoding: out.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    complaint = String(decoding: err.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    code = process.terminationStatus
  }
}

/// A `kvctl` that runs beside the test.
final class KvctlProcess {
  private let process = Process()
  private let path = "/tmp/roost-kvctl-\(UUID().uuidString.prefix(8))"

  init(_ arguments: [String], endpoints: [String]) throws {
    process.executableURL = URL(fileURLWithPath: Servers.programs + "/kvctl")
    process.arguments = ["--endpoints", endpoints.joined(separator: ",")] + arguments
    // Files, since what the process leaves behind could hold a pipe open.
    for end in [".out", ".err"] {
      _ = FileManager.default.createFile(atPath: path + end, contents: nil)
    }
    process.standardOutput = FileHandle(forWritingAtPath: path + ".out")
    process.standardError = FileHandle(forWritingAtPath: path + ".err")
    process.standardInput = FileHandle.nullDevice
    try process.run()
  }

  func signal(_ number: Int32) { Foundation.kill(process.processIdentifier, number) }
  func kill() { if process.isRunning { signal(SIGKILL) } }

  /// Waits until it has ended, and answers what it said.
  func end() async -> (code: Int32, output: String, complaint: String) {
    while process.isRunning { try? await Task.sleep(for: .milliseconds(10)) }
    let said = [".out", ".err"].map { end -> String in
      defer { try? FileManager.default.removeItem(atPath: path + end) }
      return (try? String(contentsOfFile: path + end, encoding: .utf8)) ?? ""
    }
    let wasKilled = process.terminationReason == .uncaughtSignal
    return (process.terminationStatus + (wasKilled ? 128 : 0), said[0], said[1])
  }
}
