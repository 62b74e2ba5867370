internal import RoostNode
internal import RoostPlatform

/// The command line of `kvd`.
enum ServerArguments {
  static let usage = """
    usage: kvd --id N --cluster HEX --peers 1=HOST:PORT,2=HOST:PORT,... --data DIRECTORY [OPTIONS]
           kvd --id N --cluster HEX --join --listen HOST:PORT --data DIRECTORY [OPTIONS]

      --id N             this member's number, from 1
      --cluster HEX      the cluster's number, the same for all members and no other cluster
      --peers LIST       every founding member with its address, this one included; the same for all
      --data DIRECTORY   where the log and the votes are; made if it is missing

      --found            an empty data directory is this cluster's first start; without it one is refused
      --join             a new member of a running cluster: waits until the cluster is told to add it, and
                         learns from it who the others are. Its id was never used before
      --listen ADDRESS   where to listen; default: the own address among the peers
      --allow-remote     listen where other machines can reach it: the protocol is not encrypted
      --heartbeat MS     how often a leader says that it is there; default 50
      --election MS      how long a follower waits for a leader, at least; default 300
      --snapshot-mb N    least megabytes of log between two snapshots; default 256
      --segment-mb N     length of the log's files, 16 to 4096; default 64
      --no-io-uring      write the log on a thread even where io_uring is there
      --no-spin          sleep at once where a busy node else looks for 100 us whether more has come
      --connections N    connections at once, and no more than `ulimit -n` permits; default 20000
      --watches N        watches at once; default 100000
      --hello-ms MS      how long a connection may take to say hello; default 5000
      --frame-ms MS      how long a frame may take from its first byte to its last; default 30000
      --outbox-kb N      kilobytes that may wait for a slow reader; default 4096

    Log lines go to standard error. SIGTERM and SIGINT stop the node cleanly.
    Exit codes: 0 stopped, 64 wrong usage, 65 data directory damaged or not this node's, 69 address taken,
    71 the system refused a thread or descriptor, 74 disk failed, 78 the configuration makes no sense.
    """

  /// What the words configure; nil if only help was wanted, and given.
  static func parse(_ words: [String]) throws(NodeError) -> NodeConfiguration? {
    if words.contains("--help") || words.contains("-h") {
      print(usage)
      return nil
    }
    var values = try collect(words)
    var configuration = NodeConfiguration(
      id: try number(&values, "id"),
      cluster: try clusterNumber(&values),
      peers: try peers(&values),
      dataDirectory: try required(&values, "data")
    )
    configuration.listen = values.removeValue(forKey: "listen")
    configuration.allowsRemote = values.removeValue(forKey: "allow-remote") != nil
    if values["heartbeat"] != nil {
      configuration.timing.heartbeat = .milliseconds(try milliseconds(&values, "heartbeat"))
    }
    if values["election"] != nil {
      configuration.timing.election = .milliseconds(try milliseconds(&values, "election"))
    }
    configuration.mayUseRing = values.removeValue(forKey: "no-io-uring") == nil
    configuration.mayJoin = values.removeValue(forKey: "join") != nil
    configuration.mayFound = values.removeValue(forKey: "found") != nil
    if values["snapshot-mb"] != nil {
      let megabytes = try number(&values, "snapshot-mb")
      guard megabytes <= 65_536 else { throw .usage("--snapshot-mb takes at most 65536") }
      configuration.limits.snapshotBytes = Int(megabytes) << 20
    }
    try readLimits(&values, into: &configuration.limits)
    if values.removeValue(forKey: "no-spin") != nil { configuration.limits.spin = .zero }
    configuration.log = { ServerLog.write($0, $1) }
    return configuration
  }

  private static func readLimits(
    _ values: inout [String: String],
    into limits: inout NodeLimits
  ) throws(NodeError) {
    func size(_ name: String, upTo limit: UInt64) throws(NodeError) -> Int? {
      guard values[name] != nil else { return nil }
      let number = try number(&values, name)
      guard number <= limit else { throw .usage("--\(name) takes at most \(limit)") }
      return Int(number)
    }
    if let megabytes = try size("segment-mb", upTo: 4096) {
      limits.segmentBytes = megabytes << 20
    }
    limits.connections = try size("connections", upTo: 1_000_000) ?? limits.connections
    limits.watches = try size("watches", upTo: 10_000_000) ?? limits.watches
    if let count = try size("outbox-kb", upTo: 1 << 20) { limits.outboxBytes = count << 10 }
    if let count = try size("hello-ms", upTo: 3_600_000) {
      limits.helloDeadline = .milliseconds(count)
    }
    if let count = try size("frame-ms", upTo: 3_600_000) {
      limits.frameDeadline = .milliseconds(count)
    }
  }

  private static let flags: Set<String> = [
    "allow-remote", "found", "join", "no-io-uring", "no-spin",
  ]
  private static let options: Set<String> = [
    "id", "cluster", "peers", "data", "listen", "heartbeat", "election", "snapshot-mb",
    "segment-mb", "connections", "watches", "hello-ms", "frame-ms", "outbox-kb",
  ]

  private static func collect(_ words: [String]) throws(NodeError) -> [String: String] {
    var values: [String: String] = [:]
    var rest = words[...]
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else { throw .usage("'\(word)' is not an option") }
      let halves = word.dropFirst(2).split(separator: "=", maxSplits: 1)
      let name = String(halves.first ?? "")
      guard flags.contains(name) || options.contains(name) else {
        throw .usage("there is no option --\(name)")
      }
      guard values[name] == nil else { throw .usage("--\(name) is given twice") }
      if flags.contains(name) {
        values[name] = ""
      } else if halves.count == 2 {
        values[name] = String(halves[1])
      } else {
        guard let value = rest.popFirst() else { throw .usage("--\(name) needs a value") }
        values[name] = value
      }
    }
    return values
  }

  private static func peers(
    _ values: inout [String: String]
  ) throws(NodeError) -> [UInt64: String] {
    if values["join"] != nil, values["peers"] == nil { return [:] }
    return try NodeConfiguration.parsePeers(try required(&values, "peers"))
  }

  private static func required(
    _ values: inout [String: String],
    _ name: String
  ) throws(NodeError) -> String {
    guard let value = values.removeValue(forKey: name), !value.isEmpty else {
      throw .usage("--\(name) is missing")
    }
    return value
  }

  private static func number(
    _ values: inout [String: String],
    _ name: String
  ) throws(NodeError) -> UInt64 {
    let text = try required(&values, name)
    guard let number = UInt64(text), number > 0 else {
      throw .usage("--\(name) takes a number from 1, not '\(text)'")
    }
    return number
  }

  private static func milliseconds(
    _ values: inout [String: String],
    _ name: String
  ) throws(NodeError) -> Int {
    let number = try number(&values, name)
    guard number <= 3_600_000 else { throw .usage("--\(name) takes at most 3600000 ms") }
    return Int(number)
  }

  private static func clusterNumber(_ values: inout [String: String]) throws(NodeError) -> UInt64 {
    let text = try required(&values, "cluster")
    guard let number = UInt64(text, radix: 16), number > 0 else {
      throw .usage("--cluster takes up to 16 hexadecimal digits, not '\(text)'")
    }
    return number
  }

  static func exitCode(for error: NodeError) -> Int32 {
    switch error {
    case .usage: NodeExitCode.usage
    case .configuration: NodeExitCode.configuration
    case .listen: NodeExitCode.unavailable
    case .storage: NodeExitCode.data
    case .system: NodeExitCode.system
    }
  }
}
