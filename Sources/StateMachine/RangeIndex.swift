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

  /// A range's place in the order of the tree.
  struct Place: Sendable {
    let start: [UInt8]
    let id: Int
  }

  private var nodes = ChunkedArray<Node>()
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

  /// Shows the ids of ranges that `key` lies in, in their order, until `body` answers false.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - last: Only what comes after that place is shown, whether it is still there or not.
  ///   - body: Is given the range's place and id.
  /// - Returns: Whether all were shown.
  @discardableResult
  func forEach(
    around key: [UInt8],
    after last: Place? = nil,
    _ body: (Int) -> Bool
  ) -> Bool {
    visit(root, key, last, body)
  }

  private func visit(
    _ place: Int,
    _ key: [UInt8],
    _ last: Place?,
    _ body: (Int) -> Bool
  ) -> Bool {
    guard place >= 0 else { return true }
    let (left, right, id, isAfter) = nodes.withElement(place) { node in
      guard Self.isBefore(key, node.reach) else { return (-1, -1, -1, false) }
      let isAfter = last.map { Self.isBefore($0, node.range.start, node.id) } ?? true
      let isReached = !Self.isBefore(key, node.range.start)
      let isInside = isReached && Self.isBefore(key, node.range.end)
      return (node.left, isReached ? node.right : -1, isInside ? node.id : -1, isAfter)
    }
    if isAfter {
      guard visit(left, key, last, body) else { return false }
      if id >= 0 { guard body(id) else { return false } }
    }
    return visit(right, key, last, body)
  }

  private static func isBefore(_ key: [UInt8], _ end: [UInt8]?) -> Bool {
    guard let end else { return true }
    return Record.compare(key.span, end.span) < 0
  }

  private static func isBefore(_ place: Place, _ start: [UInt8], _ id: Int) -> Bool {
    let order = Record.compare(place.start.span, start.span)
    return order < 0 || (order == 0 && place.id < id)
  }

  /// Divides a subtree into what comes before (`start`, `id`) and the rest.
  private mutating func split(_ place: Int, before start: [UInt8], _ id: Int) -> (Int, Int) {
    guard place >= 0 else { return (-1, -1) }
    let (isLeft, left, right) = nodes.withElement(place) { node in
      let order = Record.compare(node.range.start.span, start.span)
      return (order < 0 || (order == 0 && node.id < id), node.left, node.right)
    }
    if isLeft {
      let (nearer, farther) = split(right, before: start, id)
      nodes.update(place) { $0.right = nearer }
      mend(place)
      return (place, farther)
    }
    let (farther, nearer) = split(left, before: start, id)
    nodes.update(place) { $0.left = nearer }
    mend(place)
    return (farther, place)
  }

  /// Joins two subtrees of which the first comes wholly before the second.
  private mutating func merge(_ left: Int, _ right: Int) -> Int {
    guard left >= 0 else { return right }
    guard right >= 0 else { return left }
    let (leftPriority, below) = nodes.withElement(left) { ($0.priority, $0.right) }
    let (rightPriority, other) = nodes.withElement(right) { ($0.priority, $0.left) }
    if leftPriority > rightPriority {
      let joined = merge(below, right)
      nodes.update(left) { $0.right = joined }
      mend(left)
      return left
    }
    let joined = merge(left, other)
    nodes.update(right) { $0.left = joined }
    mend(right)
    return right
  }

  private mutating func mend(_ place: Int) {
    let (end, left, right) = nodes.withElement(place) { ($0.range.end, $0.left, $0.right) }
    var reach = end
    for child in [left, right] where child >= 0 {
      guard let current = reach else { break }
      guard let other = nodes.withElement(child, { $0.reach }) else {
        reach = nil
        break
      }
      if Self.isBefore(current, other) { reach = other }
    }
    nodes.update(place) { $0.reach = reach }
  }
}
