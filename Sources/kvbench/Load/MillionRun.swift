import RoostPlatform

/// Many keys: how fast they come in, what each node needs for them, and how long a restart of all takes.
struct MillionRun {
  let options: LoadOptions
  let target: [SocketAddress]
  let cluster: LocalCluster?

  func run() throws(LoadError) -> JSONLine {
    let (seconds, tally) = try Fill(options: options, target: target).run()
    var line = JSONLine()
    line.add("system", options.system.rawValue)
    line.add("verb", options.verb.rawValue)
    if !options.tag.isEmpty { line.add("tag", options.tag) }
    line.add("keys", options.keys)
    line.add("key_bytes", options.keyBytes)
    line.add("value_bytes", options.valueBytes)
    line.add("seconds", seconds, digits: 2)
    line.add("per_second", Double(tally.done) / seconds, digits: 0)
    line.add("", tally.latencies)
    // Followers apply what they have heard is committed, and a collector may tidy up.
    try pause(3)
    let resident = options.processes.map { ServerMeter.residentBytes(of: $0) }.sorted()
    for (place, bytes) in resident.enumerated() {
      line.add("rss_mb_\(place + 1)", Double(bytes) / 1_048_576, digits: 1)
    }
    if let cluster {
      line.add("disk_mb", Double(cluster.diskBytes) / 1_048_576, digits: 1)
      for node in 1...options.nodes { cluster.kill(node) }
      for node in 1...options.nodes { try cluster.start(node) }
      var probe = options
      probe.seconds = 120
      let start = Machine.monotonicNanoseconds()
      _ = try ProbeRun(options: probe).run()
      let restart = Double(Machine.monotonicNanoseconds() - start) / 1e9
      line.add("restart_seconds", restart, digits: 2)
    }
    return line
  }

  private func pause(_ seconds: Double) throws(LoadError) {
    let load = try Load(options)
    let end = load.now + UInt64(seconds * 1e9)
    while load.now < end { try load.turn(until: end) }
  }
}
