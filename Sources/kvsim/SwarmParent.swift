internal import Glibc
internal import RoostSimulation

/// Starts the processes of a swarm, reads what they print, and tells it all together.
struct SwarmParent {
  private let work: SwarmWork
  private let jobs: Int
  private(set) var seedCount = 0
  private var virtualTime: UInt64 = 0
  private var callCount = 0
  private var undecided = 0
  private var faults: [String: Int] = [:]
  private var marks: [String: Int] = [:]
  private var foundCount = 0
  private var nextWord = 10.0
  private var isQuiet = false
  private(set) var finding: String?
  /// The first seed in which the process ended itself.
  private(set) var stop: String?
  private(set) var changedCount = 0

  init(_ work: SwarmWork, jobs: Int) {
    self.work = work
    self.jobs = jobs
  }

  /// A process and the stream of what it prints.
  @safe private struct Child {
    let stream: UnsafeMutablePointer<FILE>
    let part: Int
    var seed = ""
  }

  func run() -> Int32 {
    var copy = self
    return copy.go()
  }

  /// The same swarm when it is through, without a word.
  ///
  /// It ends with what a judge finds. Seeds in which the process ends itself are passed over: what stopped it may be
  /// code of the simulation.
  func quietly() -> SwarmParent {
    var copy = self
    copy.isQuiet = true
    copy.watch(since: Machine.seconds)
    return copy
  }

  private mutating func go() -> Int32 {
    let started = Machine.seconds
    watch(since: started)
    tellTotal(since: started)
    return foundCount > 0 ? 1 : 0
  }

  private mutating func watch(since started: Double) {
    var children: [Child] = []
    for part in 0..<jobs {
      if let child = start(part, from: work.first, limit: work.seedLimit) { children.append(child) }
    }
    while !children.isEmpty {
      for place in children.indices.reversed() {
        guard let line = readLine(of: children[place]) else {
          let child = children.remove(at: place)
          if let next = end(child) { children.append(next) }
          continue
        }
        take(line, &children[place])
      }
      tellProgress(since: started)
      if foundCount > 0, !work.goesOn { break }
    }
    for child in children { leave(child) }
  }

  private func start(_ part: Int, from first: UInt64, limit: Int) -> Child? {
    let minutes = max(0, Int((work.end - Machine.seconds) / 60 + 0.5))
    var command = "exec /proc/\(getpid())/exe swarm --part \(part) --jobs \(jobs) --from \(first)"
    command += " --minutes \(max(minutes, 1)) --seconds \(work.seconds)"
    if limit < Int.max { command += " --seeds \((limit + jobs - 1) / jobs)" }
    if work.goesOn { command += " --go-on" }
    if work.compares { command += " --compare" }
    if let flaw = work.flaw { command += " --flaw \(flaw)" }
    if isQuiet { command += " 2>/dev/null" }
    // SAFETY: both strings live through the call; the stream is closed once, by `end`.
    guard let stream = unsafe popen(command, "r") else { return nil }
    return unsafe Child(stream: stream, part: part)
  }

  private func readLine(of child: Child) -> String? {
    var buffer = [CChar](repeating: 0, count: 1 << 16)
    // SAFETY: the buffer is as long as is said, and `fgets` ends it with a zero.
    guard unsafe fgets(&buffer, Int32(buffer.count), child.stream) != nil else { return nil }
    let bytes = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func take(_ line: String, _ child: inout Child) {
    let words = line.split(separator: "\t").map(String.init)
    switch words.first {
    case "seed" where words.count > 1: child.seed = words[1]
    case "done": takeDone(words)
    case "changed": changedCount += 1
    case "found" where words.count > 2:
      found("seed \(child.seed) FOUND \(words[1]): \(words[2])")
    default: break
    }
  }

  private mutating func takeDone(_ words: [String]) {
    guard words.count > 3 else { return }
    seedCount += 1
    virtualTime += UInt64(words[1]) ?? 0
    callCount += Int(words[2]) ?? 0
    undecided += Int(words[3]) ?? 0
    for word in words.dropFirst(4) {
      let parts = word.split(separator: "=").map(String.init)
      guard parts.count == 3, let count = Int(parts[2]) else { continue }
      if parts[0] == "fault" {
        faults[parts[1], default: 0] += count
      } else {
        marks[parts[1], default: 0] += count
      }
    }
  }

  private mutating func found(_ text: String) {
    foundCount += 1
    finding = finding ?? text
    if !isQuiet { print(text) }
  }

  /// Waits for a child that is not listened to any more.
  private func leave(_ child: Child) {
    // SAFETY: the stream came from `popen` and is closed once, here or in `end`.
    unsafe _ = pclose(child.stream)
  }

  /// Takes leave of a child; one that died in a run is a finding, and another goes on behind it.
  private mutating func end(_ child: Child) -> Child? {
    // SAFETY: the stream came from `popen` and is closed here alone.
    let status = unsafe pclose(child.stream)
    guard status & 0x7F != 0 || status >> 8 > 1, let seed = UInt64(child.seed) else { return nil }
    let text = "seed \(child.seed) FOUND crash: the process ended with status \(status)"
    if isQuiet { stop = stop ?? "seed \(child.seed)" } else { found(text) }
    guard work.goesOn || isQuiet, Machine.seconds < work.end else { return nil }
    return start(child.part, from: seed + UInt64(jobs) - UInt64(child.part), limit: .max)
  }

  private mutating func tellProgress(since started: Double) {
    guard !isQuiet, Machine.seconds - started > nextWord else { return }
    nextWord += 30
    let seconds = max(Machine.seconds - started, 0.001)
    let faultCount = faults.values.reduce(0, +)
    Machine.complain(
      "\(seedCount) seeds, \(decimal(Double(seedCount) / seconds)) a second, \(hours) virtual hours, "
        + "\(faultCount) faults of \(faults.count) kinds, "
        + "met \(marks.count) of \(CoverageMark.allCases.count) rare situations, \(foundCount) found"
    )
  }

  private var hours: String { decimal(Double(virtualTime) / 3.6e12) }

  private func decimal(_ number: Double) -> String {
    let tenths = Int((number * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  private func tellTotal(since started: Double) {
    let seconds = max(Machine.seconds - started, 0.001)
    let rate = Double(virtualTime) / 1e9 / seconds
    print("\(seedCount) seeds from \(work.first), \(hours) virtual hours, \(callCount) calls")
    print("\(decimal(Double(seedCount) / seconds)) seeds/s, \(decimal(rate)) virtual hours an hour")
    print("found \(foundCount), undecided keys \(undecided)")
    print(
      "faults: "
        + faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    )
    let known = CoverageMark.allCases.map(\.rawValue)
    print(
      "met: "
        + known.filter { marks[$0] != nil }.map { "\($0) \(marks[$0] ?? 0)" }.joined(
          separator: ", "
        )
    )
    print("never met: " + known.filter { marks[$0] == nil }.joined(separator: ", "))
  }
}
