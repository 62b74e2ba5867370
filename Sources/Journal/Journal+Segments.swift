import RoostRaft
import RoostWire

/// The numbers under which a journal submits, and what it waits for besides groups.
struct BackgroundJobs {
  /// What a background job is for.
  enum Purpose: Equatable {
    /// Making the spare segment of this number.
    case spare(UInt64)
    /// Packing the segment of this number.
    case packing(UInt64)
    /// Writing the snapshot of our own state after this entry.
    case save(LogIndex)
    /// Writing some bytes of this snapshot from another node.
    case receive(SnapshotDescriptor)
    /// Giving a snapshot from another node its name.
    case install(StoredSnapshot)
    /// Something whose failure alone matters.
    case other
  }

  private var next: UInt64 = 1
  private(set) var purposes: [UInt64: Purpose] = [:]

  /// A fresh number, which is remembered until it is completed.
  mutating func start(_ purpose: Purpose) -> UInt64 {
    let number = next << 1 | 1
    next += 1
    purposes[number] = purpose
    return number
  }

  mutating func finish(_ number: UInt64) -> Purpose? { purposes.removeValue(forKey: number) }

  /// Groups have even numbers, background jobs odd ones.
  static func number(ofGroup group: UInt64) -> UInt64 { group << 1 }

  /// The group that a number stands for, if it is one's.
  static func group(of number: UInt64) -> UInt64? { number & 1 == 0 ? number >> 1 : nil }
}

// MARK: The next segment

extension Journal {
  /// Starts making the next segment, if there is none and none is on its way.
  func prepareSpare() {
    guard spare == .none else { return }
    let number = active.number + 1
    spare = .preparing(number)
    var operations = Self.preparation(of: number, byteCount: settings.segmentByteCount)
    if let old = stock.popLast() {
      let new = FileName.new(FileName.segment(number))
      operations = [.rename(FileName.segment(old), to: new), .syncDirectory] + operations
    }
    disk.submit(OperationList(operations), number: background.start(.spare(number)))
  }

  /// Tries again what a full disk refused.
  ///
  /// To be called about once a second.
  package func retry() {
    guard failure == nil, spare == .refused else { return }
    spare = .none
    prepareSpare()
  }

  /// Makes a segment that is all zero, under its own name once it is.
  static func preparation(of number: UInt64, byteCount: Int) -> [DiskOperation] {
    let name = FileName.segment(number)
    let new = FileName.new(name)
    return [
      .fill(new, byteCount: byteCount), .sync(new), .rename(new, to: name), .syncDirectory,
    ]
  }

  func didPerform(_ completion: DiskCompletion, into report: inout JournalReport) {
    switch background.finish(completion.number) {
    case .spare(let number):
      switch completion.error?.reason {
      case nil: spare = .ready(number)
      case .noSpace: spare = .refused
      default: failure = failure ?? completion.error
      }
    case .packing(let number): didPack(number, completion)
    case .save(let index):
      didSave(index, completion, into: &report)
    case .receive(let descriptor):
      didReceive(descriptor, completion.error, into: &report)
    case .install(let stored):
      didInstall(stored, completion.error, into: &report)
    case .other, nil:
      failure = failure ?? completion.error
    }
  }
}

// MARK: Full segments

extension Journal {
  /// A full segment that is mostly padding.
  struct Packable: Equatable {
    let number: UInt64
    let lastGroup: UInt64
  }

  /// Whether a segment with so many bytes of records is worth being written again.
  static func isSparse(_ recordByteCount: Int, in byteCount: Int) -> Bool {
    recordByteCount < byteCount / 2
  }

  /// Starts packing the oldest sparse segment, if it is sure to stay what it is.
  ///
  /// The first group after it is durable too, so that the log never ends in a packed segment.
  func packNext() {
    while packing == nil, let next = packable.first, durableThrough > next.lastGroup {
      packable.removeFirst()
      guard segments.contains(where: { $0.number == next.number }) else { continue }
      packing = next.number
      let work = SegmentPacking(
        next.number,
        through: next.lastGroup,
        of: identity,
        settings: settings
      )
      disk.submit(work, number: background.start(.packing(next.number)))
    }
  }

  /// What could not be packed stays as it was; only a disk that fails in earnest ends the journal.
  func didPack(_ number: UInt64, _ completion: DiskCompletion) {
    packing = nil
    if !segments.contains(where: { $0.number == number }) { stock.append(number) }
    guard let error = completion.error else { return }
    guard error.reason == .noSpace || error.reason == .mismatch else {
      failure = failure ?? error
      return
    }
    discard(FileName.new(FileName.segment(number)))
  }
}
