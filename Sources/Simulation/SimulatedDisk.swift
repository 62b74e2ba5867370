package import RoostJournal
package import RoostWire

/// A disk in memory that knows what was synced, and that can do what disks do to those who trust them.
///
/// What is submitted waits until its virtual time has come (``advance(to:)``) or until it is asked for
/// (``step(_:)``). A crash loses the unsynced changes in any choice, sector by sector and name by
/// name; writes that are under way land in part. Beyond that it fails calls, runs full, is slow,
/// flips bits and loses sectors as it is told.
package final class SimulatedDisk: Disk {
  /// How long operations take, in nanoseconds.
  package struct Latency: Equatable, Sendable {
    package var write: ClosedRange<UInt64>
    package var background: ClosedRange<UInt64>

    package init(
      write: ClosedRange<UInt64> = 50_000...150_000,
      background: ClosedRange<UInt64> = 100_000...5_000_000
    ) {
      self.write = write
      self.background = background
    }
  }

  /// What was submitted and is not complete.
  private struct Job {
    let number: UInt64
    var work: Work
    /// When the first of the steps is done.
    var due: Instant
  }

  private enum Work {
    case operations(any DiskWork)
    case write(String, offset: Int, bytes: [UInt8])
  }

  private var contents = SimulatedDirectory()
  private var jobs: [Job] = []
  private var completions: [DiskCompletion] = []
  private var random: SplitMix64
  private var now = Instant(nanoseconds: 0)
  package var latency: Latency

  /// The most bytes that all files may have together.
  package var capacity: Int?
  /// The next write or sync of the log fails like this.
  package var nextWriteFailure: DiskError.Reason?
  /// An operation beside the log fails like this: the next one, or a later one.
  package var nextOperationFailure: DiskError.Reason?
  /// How many operations still succeed before the one that fails.
  package var operationsBeforeFailure = 0
  /// How many of the next syncs of new snapshots do nothing and say that they are done.
  package var lyingSyncs = 0
  /// The longest of the writes that went past the page cache, which are those of the log.
  package private(set) var longestWrite = 0
  /// What was done so far, for tests that count crash points.
  package private(set) var stepCount = 0

  package init(random: SplitMix64 = SplitMix64(seed: 1), latency: Latency = Latency()) {
    self.random = random
    self.latency = latency
  }

  /// Bytes in all files.
  package var usedByteCount: Int { contents.byteCount }

  /// A disk with the same content and nothing under way: to try something on.
  package func copy() -> SimulatedDisk {
    let copy = SimulatedDisk(random: random, latency: latency)
    copy.contents = contents
    copy.jobs = jobs
    copy.now = now
    return copy
  }

  // MARK: Disk

  package func list() throws(DiskError) -> [String] { contents.names }

  package func byteCount(of name: String) throws(DiskError) -> Int {
    try contents.file(name).current.count
  }

  package func read(
    _ name: String,
    at offset: Int,
    byteCount: Int
  ) throws(DiskError) -> [UInt8] {
    let content = try contents.file(name).current
    guard offset < content.count else { return [] }
    return [UInt8](content[offset..<min(content.count, offset + byteCount)])
  }

  package func perform(_ operation: DiskOperation) throws(DiskError) {
    stepCount += 1
    if nextOperationFailure != nil, operationsBeforeFailure > 0 {
      operationsBeforeFailure -= 1
    } else if let reason = nextOperationFailure {
      nextOperationFailure = nil
      throw DiskError(operation: "perform", file: "simulated", reason: reason, code: 0)
    }
    try contents.perform(operation, capacity: capacity)
  }

  package func submit(_ work: any DiskWork, number: UInt64) {
    start(number, .operations(work), latency.background)
  }

  package func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    let bytes = buffer.withSpan { $0.copied() }
    longestWrite = max(longestWrite, bytes.count)
    start(number, .write(name, offset: offset, bytes: bytes), latency.write)
  }

  package func takeCompletions() -> [DiskCompletion] {
    defer { completions.removeAll() }
    return completions
  }

  private func start(_ number: UInt64, _ work: Work, _ latency: ClosedRange<UInt64>) {
    let due = now.advanced(byNanoseconds: random.draw(from: latency))
    jobs.append(Job(number: number, work: work, due: due))
  }
}

// MARK: Time

extension SimulatedDisk {
  /// When the next completion, or a step on the way to one, is due.
  package var nextDeadline: Instant {
    var next = Instant.distantFuture
    for job in jobs where job.due < next { next = job.due }
    return next
  }

  /// Whether ``takeCompletions()`` has something to tell.
  package var hasCompletions: Bool { !completions.isEmpty }

  /// What is under way, in the order in which it was submitted.
  package var pending: [UInt64] { jobs.map(\.number) }

  /// Performs everything that is due by then, in the order of its time.
  package func advance(to time: Instant) {
    now = max(now, time)
    while let place = nextJob { step(at: place) }
  }

  /// The place of the job that is due first, if any is.
  private var nextJob: Int? {
    var place: Int?
    var due = now
    for index in jobs.indices where jobs[index].due <= due {
      if place != nil, jobs[index].due == due { continue }
      place = index
      due = jobs[index].due
    }
    return place
  }

  /// Performs the next step of what was submitted under a number.
  package func step(_ number: UInt64) {
    guard let index = jobs.firstIndex(where: { $0.number == number }) else { return }
    step(at: index)
  }

  private func step(at index: Int) {
    let number = jobs[index].number
    do throws(DiskError) {
      guard try take(&jobs[index].work) else {
        let delay = random.draw(from: latency.background)
        jobs[index].due = jobs[index].due.advanced(byNanoseconds: delay)
        return
      }
      var work: (any DiskWork)?
      if case .operations(let rest) = jobs[index].work { work = rest }
      completions.append(DiskCompletion(number: number, work: work, error: nil))
    } catch {
      completions.append(DiskCompletion(number: number, error: error))
    }
    jobs.remove(at: index)
  }

  /// Performs everything that is under way.
  package func finish() {
    while let job = jobs.first { step(job.number) }
  }

  /// Performs the next operation; answers whether it was the last.
  private func take(_ work: inout Work) throws(DiskError) -> Bool {
    switch work {
    case .operations(var rest):
      guard let operation = rest.next(reading: self) else { return true }
      work = .operations(rest)
      if case .sync(let name) = operation, lyingSyncs > 0,
        name.hasSuffix(".snapshot.new") || name.hasSuffix(".partial")
      {
        lyingSyncs -= 1
      } else {
        try perform(operation)
      }
      return false
    case .write(let name, let offset, let bytes):
      stepCount += 1
      if let reason = nextWriteFailure {
        nextWriteFailure = nil
        throw DiskError(operation: "write", file: name, reason: reason, code: 0)
      }
      try contents.writeThrough(bytes, to: name, at: offset)
      return true
    }
  }
}

// MARK: Faults

extension SimulatedDisk {
  /// Loses power: what is under way ends, and each unsynced change is kept or lost as `keeps` says.
  package func crash(keeping keeps: () -> Bool) {
    for job in jobs {
      guard case .write(let name, let offset, let bytes) = job.work else { continue }
      try? contents.write(bytes, to: name, at: offset)
    }
    jobs = []
    completions = []
    nextWriteFailure = nil
    nextOperationFailure = nil
    operationsBeforeFailure = 0
    lyingSyncs = 0
    contents.crash(keeping: keeps)
  }

  /// Loses power; the disk's own dice say what is kept.
  package func crash() {
    let numerator = random.below(5)
    crash { random.chance(numerator, in: 4) }
  }

  /// The process ends and the machine goes on: everything that was handed over still lands.
  ///
  /// A write of the log lands, and is there to be read, and its sync may never have been asked for.
  package func kill() {
    let jobs = self.jobs
    for job in jobs {
      guard case .write(let name, let offset, let bytes) = job.work, random.chance(1, in: 2) else {
        continue
      }
      try? contents.write(bytes, to: name, at: offset)
      self.jobs.removeAll { $0.number == job.number }
    }
    finish()
    completions = []
  }

  /// How many choices a crash would make now.
  package var crashChoices: Int {
    var count = 0
    copy().crash {
      count += 1
      return true
    }
    return count
  }

  /// Turns one bit of a file over.
  package func flipBit(_ bit: Int, of name: String) throws(DiskError) {
    try contents.damage(name, bit / 8..<bit / 8 + 1) { $0 ^ 1 << (bit % 8) }
  }

  /// Puts other bytes in a place, as damage to the medium does.
  package func damage(
    _ name: String,
    _ range: Range<Int>,
    _ body: (UInt8) -> UInt8
  ) throws(DiskError) {
    try contents.damage(name, range, body)
  }

  /// Changes the directory behind the journal's back: what an operator may do to it.
  package func tamper(_ operation: DiskOperation) throws(DiskError) {
    try contents.perform(operation, capacity: nil)
    try contents.perform(.syncDirectory, capacity: nil)
  }
}
