internal import RoostWire

/// Ranges of keys, found by a key that lies in them.
///
/// A tree ordered by where ranges start, in which each node knows how far the ranges below it reach; it
/// is balanced by priorities that follow from the ids, so that no order of insertion makes it a list. The ranges
/// around a key are found in time that grows with their number and the logarithm of all.
struct RangeIndex: Sendable {
  private struct Node: Sendable {
    let range: KeyRange
    let id: Int
    let priority: UInt64
    var left = -1
    var right = -1
    /// The farthest end in this subtree; nil reaches to the end of all keys.
    var reach: [UInt8]?
  }

  private var nodes: [Node] = []
  private var free: [Int] = []
  private var root = -1

  init() {}

  var count: Int { nodes.count - free.count }

  /// Adds a range under an id that is not in use.
  mutating func insert(_ range: KeyRange, id: Int) {
    let priority = StateHash.mix(UInt64(bitPattern: Int64(id)))
    let node = Node(range: range, id: id, priority: priority, reach: range.end)
    let place: Int
    if let reused = free.popLast() {
      nodes[reused] = node
      place = reused
    } else {
      nodes.append(node)
      place = nodes.count - 1
    }
    let (left, right) = split(root, before: range.start, id)
    root = merge(merge(left, place), right)
  }

  /// Takes away the range that was added under `id`.
  mutating func remove(_ range: KeyRange, id: Int) {
    let (left, rest) = split(root, before: range.start, id)
    let (found, right) = split(rest, before: range.start, id + 1)
    if found >= 0 {
      nodes[found] = Node(range: KeyRange(from: [], to: []), id: -1, priority: 0, reach: [])
      free.append(found)
    }
    root = merge(left, right)
  }

  /// Shows the ids of all ranges that `key` lies in.
  func forEach(around key: [UInt8], _ body: (Int) -> Void) { visit(root, key, body) }

  private func visit(_ place: Int, _ key: [UInt8], _ body: (Int) -> Void) {
    guard place >= 0, Self.isBefore(key, nodes[place].reach) else { return }
    visit(nodes[place].left, key, body)
    guard !Self.isBefore(key, nodes[place].range.start) else { return }
    if Self.isBefore(key, nodes[place].range.end) { body(nodes[place].id) }
    visit(nodes[place].right, key, body)
  }

  private static func isBefore(_ key: [UInt8], _ end: [UInt8]?) -> Bool {
    guard let end else { return true }
    return Record.compare(key.span, end.span) < 0
  }

  /// Divides a subtree into what comes before (`start`, `id`) and the rest.
  private mutating func split(_ place: Int, before start: [UInt8], _ id: Int) -> (Int, Int) {
    guard place >= 0 else { return (-1, -1) }
    let own = nodes[place].range.start
    let order = Record.compare(own.span, start.span)
    if order < 0 || (order == 0 && nodes[place].id < id) {
      let (left, right) = split(nodes[place].right, before: start, id)
      nodes[place].right = left
      mend(place)
      return (place, right)
    }
    let (left, right) = split(nodes[place].left, before: start, id)
    nodes[place].left = right
    mend(place)
    return (left, place)
  }

  /// Joins two subtrees of which the first comes wholly before the second.
  private mutating func merge(_ left: Int, _ right: Int) -> Int {
    guard left >= 0 else { return right }
    guard right >= 0 else { return left }
    if nodes[left].priority > nodes[right].priority {
      let below = nodes[left].right
      nodes[left].right = merge(below, right)
      mend(left)
      return left
    }
    let below = nodes[right].left
    nodes[right].left = merge(left, below)
    mend(right)
    return right
  }

  private mutating func mend(_ place: Int) {
    var reach = nodes[place].range.end
    for child in [nodes[place].left, nodes[place].right] where child >= 0 {
      guard let current = reach else { break }
      guard let other = nodes[child].reach else {
        reach = nil
        break
      }
      if Self.isBefore(current, other) { reach = other }
    }
    nodes[place].reach = reach
  }
}
