import RoostStateMachine
import RoostWire

/// Every change of every key, as the log makes them: what watches must tell, and what reads at a revision must show.
///
/// It is taken from a watch on all keys beside the judge's own state, and each change must follow from what the key was
/// before: a change that is left out or told twice does not go unseen.
struct ChangeRecord {
  private var table: WatchTable
  private var output = WatchOutput()
  private static let id = WatcherID(connection: 1, watch: 1)
  /// In the order of their revisions.
  private(set) var changes: [WatchEvent.Change] = []
  /// The places in ``changes`` of each key's own.
  private var places: [[UInt8]: [Int]] = [:]

  init(beside state: ReplicatedState) {
    table = WatchTable(beside: state)
    let request = WatchRequest(watch: 1, range: .everything)
    _ = try? table.start(request, as: Self.id, by: .zero, on: state)
  }

  /// Takes in what an entry has changed; answers what is wrong about it.
  mutating func follow(_ state: ReplicatedState) -> (first: Int, problem: String?) {
    output.removeAll()
    table.advance(on: state, into: &output)
    let first = changes.count
    for (_, _, range) in output.events {
      table.didSend(range.count, on: Self.id.connection)
      guard case .watch(let event)? = try? Event(decodingAll: [UInt8](output.bytes[range])) else {
        return (first, "a watch event can't be read")
      }
      if event.compactedBelow != nil { return (first, "a watch that keeps up is ended") }
      for change in event.changes {
        if let problem = add(change) { return (first, problem) }
      }
    }
    return (first, nil)
  }

  private mutating func add(_ change: WatchEvent.Change) -> String? {
    let entry = change.entry
    let before = latest(entry.key)
    let last = changes.last?.entry.modified ?? .zero
    guard entry.modified >= last else { return "\(change.story) comes after revision \(last)" }
    if change.isRemoval {
      guard before != nil else { return "\(change.story), which was not there" }
    } else {
      let version = (before?.version ?? 0) + 1
      guard entry.version == version else {
        return "\(change.story) has version \(entry.version), and should have \(version)"
      }
      guard entry.created == before?.created ?? entry.modified else {
        return "\(change.story) was created at \(entry.created)"
      }
    }
    places[entry.key, default: []].append(changes.count)
    changes.append(change)
    return nil
  }

  private func latest(_ key: [UInt8]) -> KeyValue? {
    guard let place = places[key]?.last, !changes[place].isRemoval else { return nil }
    return changes[place].entry
  }

  /// What a key held before the change at that place.
  func entry(before place: Int) -> KeyValue? {
    let own = places[changes[place].entry.key] ?? []
    guard let earlier = own.last(where: { $0 < place }), !changes[earlier].isRemoval else {
      return nil
    }
    return changes[earlier].entry
  }

  /// What a key held at a revision.
  func entry(of key: [UInt8], at revision: Revision) -> KeyValue? {
    let own = places[key] ?? []
    var (low, high) = (0, own.count)
    while low < high {
      let middle = (low + high) / 2
      if changes[own[middle]].entry.modified <= revision { low = middle + 1 } else { high = middle }
    }
    guard low > 0, !changes[own[low - 1]].isRemoval else { return nil }
    return changes[own[low - 1]].entry
  }

  /// What a range held at a revision, in the order of the keys.
  func entries(in range: KeyRange, at revision: Revision) -> [KeyValue] {
    places.keys.filter { range.contains($0) }
      .sorted { $0.lexicographicallyPrecedes($1) }
      .compactMap { entry(of: $0, at: revision) }
  }

  /// The changes of a range from one revision on, through another.
  func changes(
    in range: KeyRange,
    from first: Revision,
    through last: Revision
  ) -> [WatchEvent.Change] {
    changes.filter {
      range.contains($0.entry.key) && $0.entry.modified >= first && $0.entry.modified <= last
    }
  }
}

extension KeyRange {
  func contains(_ key: [UInt8]) -> Bool {
    if key.lexicographicallyPrecedes(start) { return false }
    return end.map { key.lexicographicallyPrecedes($0) } ?? true
  }
}

extension WatchEvent.Change {
  var story: String {
    "\(isRemoval ? "removal" : "change") of \(text(entry.key)) at \(entry.modified)"
  }

  /// Whether both tell the same.
  func tells(_ other: WatchEvent.Change) -> Bool {
    guard isRemoval == other.isRemoval, entry.key == other.entry.key,
      entry.modified == other.entry.modified
    else { return false }
    return isRemoval || entry == other.entry
  }
}
