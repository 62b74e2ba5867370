import RoostRaft
import RoostWire

/// What was appended and is not handed to the disk yet, in order.
///
/// Records are encoded when they are appended, one behind the other, so that an entry costs two copies
/// of its bytes on the way to the disk and nothing is kept of it. What a group has to know about its
/// records is remembered beside them, in one item for each run of entries.
struct WaitingWrites {
  private enum Item {
    case hardState(HardState)
    case entries(Run)
    /// A record that is no entry, and takes so many bytes.
    case record(Record, byteCount: Int)
    /// Everything before it belongs to this ticket, or to an earlier one.
    case ticket(UInt64)
  }

  /// Entries of one term whose indices follow each other.
  struct Run {
    var first: LogIndex
    let term: Term
    var count: Int
    var byteCount: Int

    var next: LogIndex { LogIndex(first.rawValue + UInt64(count)) }
  }

  /// What one group takes: bytes of records, which stay until ``remove(_:)``.
  struct Batch {
    fileprivate(set) var bytes: Range<Int>
    fileprivate(set) var recordCount = 0
    fileprivate(set) var ticket: UInt64?

    var byteCount: Int { bytes.count }
  }

  private static let capacity = 1 << 16
  /// A larger stage is let go when it is empty.
  private static let keptCapacity = 16 << 20
  /// More items that were taken are removed even if others wait.
  private static let keptItems = 1 << 10

  private var items: [Item] = []
  private var firstItem = 0
  private var stage: DiskBuffer
  /// Where the waiting records begin in the stage, and where they end.
  private var head = 0
  private var tail = 0

  init() {
    stage = DiskBuffer(capacity: Self.capacity)
    stage.reset(byteCount: stage.capacity)
  }

  var isEmpty: Bool { firstItem == items.count }

  /// The bytes that the next group needs at least.
  var firstByteCount: Int { head == tail ? 0 : recordByteCount(at: head) }

  private func recordByteCount(at offset: Int) -> Int {
    Record.overhead + Int(stage.littleEndian(UInt32.self, at: offset + 1))
  }

  // MARK: Adding

  mutating func add(_ hardState: HardState) { items.append(.hardState(hardState)) }

  mutating func add(ticket: UInt64) { items.append(.ticket(ticket)) }

  mutating func add(_ record: Record) {
    if case .entry(let entry) = record { return add([entry]) }
    let bytes = record.encoded()
    makeRoom(for: bytes.count)
    stage.put(bytes.span, at: tail)
    tail += bytes.count
    items.append(.record(record, byteCount: bytes.count))
  }

  /// Adds entries in one go: a thousand small ones cost less than the write of them.
  mutating func add(_ entries: [Entry]) {
    guard !entries.isEmpty else { return }
    var run = takeLastRun()
    let entries = entries.span
    for place in entries.indices {
      let byteCount = encode(entries[place])
      let (term, index) = (entries[place].term, entries[place].index)
      if let known = run, known.term == term, known.next == index {
        run?.count += 1
        run?.byteCount += byteCount
      } else {
        if let run { items.append(.entries(run)) }
        run = Run(first: index, term: term, count: 1, byteCount: byteCount)
      }
    }
    if let run { items.append(.entries(run)) }
  }

  /// The run at the end, taken out of the items so that more can be added to it.
  private mutating func takeLastRun() -> Run? {
    guard firstItem < items.count, case .entries(let run)? = items.last else { return nil }
    items.removeLast()
    return run
  }

  /// Encodes an entry as a record at the end of the stage; answers its length.
  private mutating func encode(_ entry: borrowing Entry) -> Int {
    let payloadByteCount = entry.payload.count
    let byteCount = Record.overhead + Entry.overhead + payloadByteCount
    makeRoom(for: byteCount)
    stage.put(littleEndian: Record.entryKind, at: tail)
    stage.put(littleEndian: UInt32(Entry.overhead + payloadByteCount), at: tail + 1)
    stage.put(littleEndian: entry.term.rawValue, at: tail + 5)
    stage.put(littleEndian: entry.index.rawValue, at: tail + 13)
    stage.put(littleEndian: entry.time.rawValue, at: tail + 21)
    stage.put(littleEndian: entry.kind.rawValue, at: tail + 29)
    stage.put(littleEndian: UInt32(payloadByteCount), at: tail + 30)
    stage.put(entry.payload.span, at: tail + Record.overhead + Entry.overhead)
    tail += byteCount
    return byteCount
  }

  private mutating func makeRoom(for byteCount: Int) {
    guard byteCount > stage.capacity - tail else { return }
    let waiting = tail - head
    let larger = DiskBuffer(capacity: max(stage.capacity, 2 * (waiting + byteCount)))
    larger.reset(byteCount: larger.capacity)
    stage.withSpan { larger.put($0.extracting(head..<tail), at: 0) }
    stage = larger
    head = 0
    tail = waiting
  }

  // MARK: Taking

  /// Takes items from the front: at least one, and records up to `byteLimit` bytes.
  ///
  /// `standing` and `terms` follow what was taken.
  mutating func take(
    byteLimit: Int,
    standing: inout Standing,
    terms: inout LogTerms
  ) -> Batch {
    var batch = Batch(bytes: head..<head)
    loop: while firstItem < items.count {
      switch items[firstItem] {
      case .hardState(let hardState): standing.hardState = hardState
      case .ticket(let ticket): batch.ticket = ticket
      case .record(let record, let byteCount):
        guard batch.byteCount + byteCount <= byteLimit else { break loop }
        batch.take(1, byteCount)
        terms.follow(record)
      case .entries(let run):
        let part = front(of: run, at: batch.bytes.upperBound, byteLimit - batch.byteCount)
        if part.count > 0 {
          batch.take(part.count, part.byteCount)
          terms.append(part)
        }
        guard part.count == run.count else {
          let rest = Run(
            first: part.next,
            term: run.term,
            count: run.count - part.count,
            byteCount: run.byteCount - part.byteCount
          )
          items[firstItem] = .entries(rest)
          break loop
        }
      }
      firstItem += 1
    }
    standing.last = terms.last
    standing.settle()
    return batch
  }

  /// The entries at the front of a run that take up to `byteLimit` bytes.
  private func front(of run: Run, at offset: Int, _ byteLimit: Int) -> Run {
    if run.byteCount <= byteLimit { return run }
    var part = Run(first: run.first, term: run.term, count: 0, byteCount: 0)
    while true {
      let byteCount = recordByteCount(at: offset + part.byteCount)
      guard part.byteCount + byteCount <= byteLimit else { return part }
      part.count += 1
      part.byteCount += byteCount
    }
  }

  /// The encoded records of a batch.
  func withRecords(of batch: Batch, _ body: (borrowing Span<UInt8>) -> Void) {
    stage.withSpan { body($0.extracting(batch.bytes)) }
  }

  /// Forgets the records of a batch that was written.
  mutating func remove(_ batch: Batch) {
    head = batch.bytes.upperBound
    if head == tail {
      head = 0
      tail = 0
      if stage.capacity > Self.keptCapacity {
        stage = DiskBuffer(capacity: Self.capacity)
        stage.reset(byteCount: stage.capacity)
      }
    }
    guard isEmpty || firstItem > Self.keptItems else { return }
    items.removeFirst(firstItem)
    firstItem = 0
  }
}

extension WaitingWrites.Batch {
  fileprivate mutating func take(_ count: Int, _ byteCount: Int) {
    recordCount += count
    bytes = bytes.lowerBound..<bytes.upperBound + byteCount
  }
}

extension LogTerms {
  mutating func follow(_ record: Record) {
    switch record {
    case .entry(let entry): append(entry.position)
    case .truncate(let index): truncate(from: index)
    case .reset(let place): reset(after: place)
    }
  }

  mutating func append(_ run: WaitingWrites.Run) {
    append(LogPosition(term: run.term, index: run.first))
    extend(through: LogIndex(run.next.rawValue - 1))
  }
}
