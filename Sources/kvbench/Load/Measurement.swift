import Glibc

/// What a stretch of a run took, and the line that says so.
struct Measurement {
  private let processes: [Int32]
  private let meter = Meter()
  private let servers: ServerMeter
  private let doneBefore: UInt64
  private let errorsBefore: UInt64

  private(set) var seconds = 0.0
  private var clientSeconds = 0.0
  private(set) var serverSeconds = 0.0
  private var residentBytes = 0
  private(set) var operations: UInt64 = 0
  private var errors: UInt64 = 0
  /// Arrivals of an open loop that were due and had not been asked.
  var backlog: UInt64?

  init(_ options: LoadOptions, _ tally: Tally) {
    processes = options.processes
    servers = ServerMeter(options.processes)
    doneBefore = tally.done
    errorsBefore = tally.errors
  }

  mutating func end(_ tally: Tally) {
    seconds = meter.wallSeconds
    clientSeconds = meter.processorSeconds
    let after = ServerMeter(processes)
    serverSeconds = after.seconds - servers.seconds
    residentBytes = after.residentBytes
    operations = tally.done - doneBefore
    errors = tally.errors - errorsBefore
  }

  /// The fields that every load has.
  func report(_ options: LoadOptions, _ tally: Tally) -> JSONLine {
    var line = JSONLine()
    line.add("system", options.system.rawValue)
    line.add("verb", options.verb.rawValue)
    if !options.tag.isEmpty { line.add("tag", options.tag) }
    line.add("clients", options.clients)
    line.add("connections", options.connections)
    line.add("key_bytes", options.keyBytes)
    line.add("value_bytes", options.valueBytes)
    line.add("keys", options.keys)
    if let rate = options.rate { line.add("rate", rate, digits: 0) }
    line.add("seconds", seconds, digits: 2)
    line.add("operations", operations)
    line.add("per_second", Double(operations) / seconds, digits: 1)
    line.add("errors", errors)
    if errors > 0 { line.add("last_error", tally.lastError) }
    if let backlog { line.add("backlog", backlog) }
    line.add("", tally.latencies)
    if tally.reads.count > 0, options.verb == .mix { line.add("read_", tally.reads) }
    if tally.acquisitions.count > 0 { line.add("acquire_", tally.acquisitions) }
    if tally.handovers.count > 0 { line.add("handover_", tally.handovers) }
    let each = Double(max(operations, 1))
    if !processes.isEmpty {
      line.add("server_cpu_s", serverSeconds, digits: 2)
      line.add("server_cpu_s_per_100k", serverSeconds / each * 1e5, digits: 3)
      line.add("server_cores", serverSeconds / seconds, digits: 2)
      line.add("server_rss_mb", Double(residentBytes) / 1_048_576, digits: 1)
    }
    line.add("client_cpu_us_per_op", clientSeconds / each * 1e6, digits: 3)
    line.add("client_cores", clientSeconds / seconds, digits: 2)
    return line
  }
}
