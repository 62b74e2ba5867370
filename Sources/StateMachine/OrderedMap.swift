internal import RoostWire

/// Records in the bytewise order of their keys: a B+tree whose copies share what they have in common.
///
/// A copy of the map costs a reference. A write goes down one path and changes nodes where they are,
/// except those that a copy shares, which it replaces by copies of their own; so a copy stays as it was, may
/// be read by another thread, and costs a later write the nodes of its path at most once. Every inner node
/// knows how many live records are below it, so counting a range does not walk it.
struct OrderedMap: Sendable {
  private var root: Root?
  private(set) var count = 0

  init() {}

  /// How many records are there that are no tombstones.
  var liveCount: Int { root?.node.live ?? 0 }

  /// The node where every path begins.
  var topNode: MapNode? { root?.node }

  func find(_ key: borrowing Span<UInt8>) -> Record? {
    root?.node.lookUp(key)
  }

  /// Lets `body` see the record under `key` and put another in its place, or leave it with nil.
  ///
  /// The new record must have that key.
  mutating func update(
    _ key: borrowing Span<UInt8>,
    _ body: (borrowing Record?) -> Record?
  ) {
    let top = uniqueRoot()
    let before = top.count
    var isInserted = false
    let split = Self.update(top, key, &isInserted, body)
    if isInserted { count += 1 }
    guard let split else {
      // An empty map stays without a root.
      if before == 0, !isInserted { root = nil }
      return
    }
    let newTop = MapNode.make(level: top.level + 1, prefix: 0)
    newTop.setFirstChild(top)
    newTop.guardPrefix()
    newTop.insertChild(split.right, behind: 0, separator: split.separator)
    newTop.live = top.live + split.right.live
    root = Root(newTop)
  }

  /// Puts what `make` answers in the place of the version under `key`, and answers that one.
  ///
  /// Nothing is changed, and the answer is nil, if there is no version or `make` answers nil. It does what ``update(_:_:)``
  /// would, but no count changes, so nothing is left to do on the way up.
  mutating func exchangeLive(
    _ key: borrowing Span<UInt8>,
    _ make: (borrowing Record) -> Record?
  ) -> Record? {
    guard root != nil else { return nil }
    // SAFETY: the root is kept by the map and each node by its parent, so none needs to be counted.
    var node = unsafe Unmanaged.passUnretained(uniqueRoot())
    while true {
      let (child, old) = unsafe node._withUnsafeGuaranteedRef { node in
        guard node.isLeaf else {
          return unsafe (node.uniqueChildReference(for: key) as Unmanaged<MapNode>?, nil as Record?)
        }
        return (nil, node.exchangeLive(key, make))
      }
      guard let child = unsafe child else { return old }
      unsafe node = unsafe child
    }
  }

  @discardableResult
  mutating func remove(_ key: borrowing Span<UInt8>) -> Record? {
    guard root != nil else { return nil }
    let top = uniqueRoot()
    guard let removed = Self.remove(top, key) else { return nil }
    count -= 1
    if top.count == 0 {
      root = nil
    } else if !top.isLeaf, top.count == 1 {
      let only = top.uniqueChild(at: 0)
      only.guardPrefix()
      root = Root(only)
    }
    return removed
  }

  /// Shows the records of a range in order until `body` answers false.
  ///
  /// If it is `liveOnly`, nodes with nothing but tombstones are passed over; some tombstones are shown nevertheless.
  func visit(
    from start: borrowing Span<UInt8>,
    to end: [UInt8]?,
    isReverse: Bool = false,
    liveOnly: Bool = false,
    _ body: (Record) -> Bool
  ) {
    guard let root, start.isEmpty || Self.isBefore(start, end) else { return }
    var bounds = Bounds(start: start.isEmpty ? nil : start.copied(), end: end)
    bounds.liveOnly = liveOnly
    if isReverse {
      _ = Self.visitBackwards(root.node, bounds, body)
    } else {
      _ = Self.visitForwards(root.node, bounds, body)
    }
  }

  /// How many records of a range are no tombstones.
  func liveCount(from start: borrowing Span<UInt8>, to end: [UInt8]?) -> Int {
    guard let root, start.isEmpty || Self.isBefore(start, end) else { return 0 }
    return Self.liveCount(
      root.node,
      Bounds(start: start.isEmpty ? nil : start.copied(), end: end)
    )
  }

  private static func isBefore(_ start: borrowing Span<UInt8>, _ end: [UInt8]?) -> Bool {
    guard let end else { return true }
    return Record.compare(start, end.span) < 0
  }

  /// The root, which after the call is in no other map.
  private mutating func uniqueRoot() -> MapNode {
    guard root != nil, isKnownUniquelyReferenced(&root), let node = root?.node else {
      let node = root?.node.copy() ?? MapNode.make(level: 0, prefix: 0)
      root = Root(node)
      return node
    }
    return node
  }

  /// What of a range concerns a subtree; nil where all of it does.
  private struct Bounds {
    var start: [UInt8]?
    var end: [UInt8]?
    /// Nodes without a live record don't matter.
    var liveOnly = false

    /// The places of a leaf that lie within.
    func places(in leaf: MapNode) -> Range<Int> {
      let first = start.map { leaf.search($0.span).index } ?? 0
      let last = end.map { leaf.search($0.span).index } ?? leaf.count
      return first..<max(first, last)
    }

    /// The children of an inner node that lie within, wholly or in part.
    func children(of node: MapNode) -> ClosedRange<Int> {
      let first = start.map { node.childIndex(for: $0.span) } ?? 0
      let last = end.map { node.childIndex(for: $0.span) } ?? (node.count - 1)
      return first...max(first, last)
    }

    /// What concerns one of `children`.
    func within(_ index: Int, of children: ClosedRange<Int>) -> Bounds {
      Bounds(
        start: index == children.lowerBound ? start : nil,
        end: index == children.upperBound ? end : nil,
        liveOnly: liveOnly
      )
    }
  }
}

/// Holds the root of a map, which exactly one of these does.
///
/// SAFETY: the node is kept as the bits of a counted reference, which this object owns. It lets maps go
/// from thread to thread: a node is written only through a map whose path of references to it is unshared,
/// down from a `Root` that is unshared itself, so whoever reads it elsewhere holds a reference that
/// prevents this.
private final class Root: Sendable {
  private let bits: UInt

  init(_ node: MapNode) {
    // SAFETY: the count raised here is lowered by `deinit`.
    bits = unsafe UInt(bitPattern: Unmanaged.passRetained(node).toOpaque())
  }

  deinit {
    // SAFETY: the bits are those of a reference that this object owns.
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: bits) else { return }
    unsafe Unmanaged<MapNode>.fromOpaque(pointer).release()
  }

  var node: MapNode {
    guard let pointer = unsafe UnsafeRawPointer(bitPattern: bits) else {
      preconditionFailure("a root has a node")
    }
    // SAFETY: the reference lives as long as this object.
    return unsafe Unmanaged<MapNode>.fromOpaque(pointer).takeUnretainedValue()
  }
}

/// Writing: the way down makes nodes the map's own, the way up mends counts, splits and merges.
extension OrderedMap {
  private typealias Split = (right: MapNode, separator: [UInt8])

  /// A node that has become this small is merged with a neighbour, if both fit into one.
  private static var mergeLimit: Int { MapNode.capacity / 3 }

  private static func update(
    _ node: MapNode,
    _ key: borrowing Span<UInt8>,
    _ isInserted: inout Bool,
    _ body: (borrowing Record?) -> Record?
  ) -> Split? {
    guard !node.isLeaf else { return updateLeaf(node, key, &isInserted, body) }
    let index = node.childIndex(for: key)
    let child = node.uniqueChild(at: index)
    let live = child.live
    let split = update(child, key, &isInserted, body)
    guard let split else {
      node.live += child.live - live
      return nil
    }
    node.live += child.live + split.right.live - live
    refinePrefixes(of: child, at: index, in: node, split)
    guard node.isFull else {
      node.insertChild(split.right, behind: index, separator: split.separator)
      return nil
    }
    // Keys that come in order fill nodes: what is appended to the last place starts a new node.
    let isLast = index == node.count - 1
    let half = node.split(at: isLast ? node.count - 1 : node.count / 2)
    let target = index < node.count ? node : half.right
    target.insertChild(
      split.right,
      behind: index < node.count ? index : index - node.count,
      separator: split.separator
    )
    target.live += split.right.live
    return half
  }

  /// Lengthens the shared prefixes of two halves, as far as the parent's separators prove them.
  private static func refinePrefixes(
    of left: MapNode,
    at index: Int,
    in parent: MapNode,
    _ split: Split
  ) {
    if index > 0 {
      let before = parent.separator(at: index - 1)
      left.provePrefix(MapNode.commonPrefix(before.span, split.separator.span))
    }
    if index < parent.count - 1 {
      let after = parent.separator(at: index)
      split.right.provePrefix(MapNode.commonPrefix(split.separator.span, after.span))
    }
  }

  private static func updateLeaf(
    _ leaf: MapNode,
    _ key: borrowing Span<UInt8>,
    _ isInserted: inout Bool,
    _ body: (borrowing Record?) -> Record?
  ) -> Split? {
    let (index, isFound) = leaf.search(key)
    guard !isFound else {
      guard let new = body(leaf.record(at: index)) else { return nil }
      _ = leaf.replaceRecord(at: index, by: new)
      return nil
    }
    guard let new = body(nil) else { return nil }
    isInserted = true
    guard leaf.isFull else {
      leaf.insertRecord(new, at: index)
      return nil
    }
    guard index < leaf.count else {
      let right = MapNode.make(level: 0, prefix: leaf.prefix)
      right.insertRecord(new, at: 0)
      return (right, MapNode.separator(between: leaf.record(at: leaf.count - 1), and: new))
    }
    let half = leaf.split(at: leaf.count / 2)
    if index <= leaf.count {
      // At the border the separator decides, as it will for every search.
      let isRight = index == leaf.count && Record.compare(half.separator.span, key) <= 0
      isRight ? half.right.insertRecord(new, at: 0) : leaf.insertRecord(new, at: index)
    } else {
      half.right.insertRecord(new, at: index - leaf.count)
    }
    return half
  }

  private static func remove(_ node: MapNode, _ key: borrowing Span<UInt8>) -> Record? {
    guard !node.isLeaf else {
      let (index, isFound) = node.search(key)
      return isFound ? node.removeRecord(at: index) : nil
    }
    let index = node.childIndex(for: key)
    let child = node.uniqueChild(at: index)
    guard let removed = remove(child, key) else { return nil }
    if !removed.isTombstone { node.live -= 1 }
    if child.count <= mergeLimit { merge(around: index, in: node) }
    return removed
  }

  /// Merges a small child with the next one or the one before, if both fit into one node.
  private static func merge(around index: Int, in node: MapNode) {
    let count = node.child(at: index).count
    // Some room is left for what comes next, but an empty child must go.
    let limit = count == 0 ? MapNode.capacity : MapNode.capacity * 3 / 4
    let fits = { (other: Int) in
      other >= 0 && other < node.count && node.child(at: other).count + count <= limit
    }
    let left: Int
    if fits(index + 1) {
      left = index
    } else if fits(index - 1) {
      left = index - 1
    } else {
      return
    }
    let target = node.uniqueChild(at: left)
    // The merged node's keys share what the separators around both share, or else what all here share.
    var prefix = node.guardsPrefix ? 0 : node.prefix
    if left > 0, left + 1 < node.keyCount {
      prefix = max(
        prefix,
        MapNode.commonPrefix(
          node.separator(at: left - 1).span,
          node.separator(at: left + 1).span
        )
      )
    }
    target.append(
      node.child(at: left + 1),
      separator: node.separator(at: left),
      prefix: prefix
    )
    node.removeChild(behind: left)
  }
}

/// Reading ranges.
extension OrderedMap {
  private static func visitForwards(
    _ node: MapNode,
    _ bounds: Bounds,
    _ body: (Record) -> Bool
  ) -> Bool {
    guard !bounds.liveOnly || node.live > 0 else { return true }
    guard !node.isLeaf else {
      let places = bounds.places(in: node)
      for index in places {
        if (index - places.lowerBound) % 8 == 0 {
          node.touch(index..<min(index + 8, places.upperBound))
        }
        guard body(node.record(at: index)) else { return false }
      }
      return true
    }
    let children = bounds.children(of: node)
    for index in children {
      let within = bounds.within(index, of: children)
      guard visitForwards(node.child(at: index), within, body) else { return false }
    }
    return true
  }

  private static func visitBackwards(
    _ node: MapNode,
    _ bounds: Bounds,
    _ body: (Record) -> Bool
  ) -> Bool {
    guard !bounds.liveOnly || node.live > 0 else { return true }
    guard !node.isLeaf else {
      for index in bounds.places(in: node).reversed() where !body(node.record(at: index)) {
        return false
      }
      return true
    }
    let children = bounds.children(of: node)
    for index in children.reversed() {
      let within = bounds.within(index, of: children)
      guard visitBackwards(node.child(at: index), within, body) else { return false }
    }
    return true
  }

  private static func liveCount(_ node: MapNode, _ bounds: Bounds) -> Int {
    guard bounds.start != nil || bounds.end != nil else { return node.live }
    guard !node.isLeaf else {
      return bounds.places(in: node).reduce(0) { sum, index in
        sum + (node.record(at: index).isTombstone ? 0 : 1)
      }
    }
    let children = bounds.children(of: node)
    return children.reduce(0) { sum, index in
      sum + liveCount(node.child(at: index), bounds.within(index, of: children))
    }
  }
}

extension OrderedMap {
  /// Checks everything that must be true of the tree, in time that grows with it.
  func checkInvariants() {
    guard let root else { return precondition(count == 0, "an empty map has no root") }
    var previous: Record?
    var seen = 0
    let start: [UInt8] = []
    visit(from: start.span, to: nil) { record in
      if let previous {
        precondition(
          record.withKey { previous.compare(to: $0) } < 0,
          "records stand in the order of keys"
        )
      }
      record.withKey { key in
        precondition(find(key)?.isSameVersion(as: record) == true, "every record is found")
      }
      previous = record
      seen += 1
      return true
    }
    precondition(seen == count, "the count is right")
    _ = Self.checkNode(root.node)
  }

  private static func checkNode(_ node: MapNode) -> Int {
    precondition(node.count > 0, "no node is empty")
    var live = 0
    for index in 0..<node.count {
      if node.isLeaf {
        live += node.record(at: index).isTombstone ? 0 : 1
      } else {
        precondition(node.child(at: index).level == node.level - 1, "all leaves lie equally deep")
        live += checkNode(node.child(at: index))
      }
    }
    precondition(live == node.live, "live records are counted")
    return live
  }
}
