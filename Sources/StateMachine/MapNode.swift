internal import RoostWire

/// A node of an ``OrderedMap``: one piece of memory with 64 places.
///
/// A leaf holds records, an inner node children and the separators between them. Beside each key stand
/// eight bytes of it, its head, taken behind the prefix that all keys of the node share; so a search is a
/// search among numbers, and touches a key only to confirm it.
///
///     words    leaf       inner node
///     0..<64   heads      heads of separators
///     64..     records    separators
///     128..    -          children
///
/// The shared prefix is one that every key must have that a search can bring here, because the separators
/// to the left and right have it. It may be shorter than what the keys have in common, never longer. The root, to which
/// a search brings any key, guards its prefix instead: a key that lacks it lies before or behind all separators.
///
/// The methods keep what lies in the memory and the counts in step; a node that two trees share is never
/// written (``OrderedMap`` sees to that), so trees can be read and written by different threads.
final class MapNode: ManagedBuffer<MapNode.Header, UInt64> {
  struct Header {
    /// Records of a leaf, children of an inner node.
    var count: Int
    /// 0 for a leaf.
    let level: Int
    /// Bytes that all keys of the node share and that heads leave out.
    var prefix: Int
    /// Records below that are no tombstones.
    var live: Int
    /// Whether searches may bring keys that lack the prefix.
    var guardsPrefix = false
  }

  static let capacity = 64

  static func make(level: Int, prefix: Int) -> MapNode {
    let words = (level == 0 ? 2 : 3) * capacity
    let buffer = MapNode.create(minimumCapacity: words) { _ in
      Header(count: 0, level: level, prefix: prefix, live: 0)
    }
    // SAFETY: `create` makes an object of the class it is called on.
    return unsafe unsafeDowncast(buffer, to: MapNode.self)
  }

  deinit {
    // SAFETY: exactly the first `keyCount` keys and `count` children are initialized.
    unsafe records.deinitialize(count: isLeaf ? count : 0)
    if !isLeaf {
      unsafe separators.deinitialize(count: keyCount)
      unsafe children.deinitialize(count: count)
    }
  }

  /// The header by its address: as a property it would be guarded at every access against a second one.
  private var fields: UnsafeMutablePointer<Header> {
    // SAFETY: the header lives as long as the node.
    unsafe withUnsafeMutablePointerToHeader { unsafe $0 }
  }

  var count: Int { unsafe fields.pointee.count }
  var level: Int { unsafe fields.pointee.level }
  var prefix: Int { unsafe fields.pointee.prefix }
  var guardsPrefix: Bool { unsafe fields.pointee.guardsPrefix }
  var isLeaf: Bool { level == 0 }
  var isFull: Bool { count == Self.capacity }
  var keyCount: Int { isLeaf ? count : max(count - 1, 0) }

  var live: Int {
    get { unsafe fields.pointee.live }
    set { unsafe fields.pointee.live = newValue }
  }

  // SAFETY of the four: the memory lives as long as the node, has room for 64 of each kind that the
  // node's level has, and each part is used for one type only.
  private var heads: UnsafeMutablePointer<UInt64> {
    unsafe withUnsafeMutablePointerToElements { unsafe $0 }
  }

  private var records: UnsafeMutablePointer<Record> {
    unsafe UnsafeMutableRawPointer(heads + Self.capacity).assumingMemoryBound(to: Record.self)
  }

  private var separators: UnsafeMutablePointer<[UInt8]> {
    unsafe UnsafeMutableRawPointer(heads + Self.capacity).assumingMemoryBound(to: [UInt8].self)
  }

  private var children: UnsafeMutablePointer<MapNode> {
    unsafe UnsafeMutableRawPointer(heads + 2 * Self.capacity).assumingMemoryBound(to: MapNode.self)
  }

  /// A node with the same contents.
  func copy() -> MapNode {
    let copy = MapNode.make(level: level, prefix: prefix)
    unsafe copy.fields.pointee = fields.pointee
    // SAFETY: both nodes have the same level, and the copy's places are not initialized yet.
    unsafe copy.heads.update(from: heads, count: keyCount)
    if isLeaf {
      unsafe copy.records.initialize(from: records, count: count)
    } else {
      unsafe copy.separators.initialize(from: separators, count: keyCount)
      unsafe copy.children.initialize(from: children, count: count)
    }
    return copy
  }

  // MARK: Looking

  func record(at index: Int) -> Record {
    precondition(isLeaf && index >= 0 && index < count, "the leaf has that record")
    // SAFETY: see the precondition.
    return unsafe records[index]
  }

  func separator(at index: Int) -> [UInt8] {
    precondition(!isLeaf && index >= 0 && index < keyCount, "the node has that separator")
    // SAFETY: see the precondition.
    return unsafe separators[index]
  }

  func child(at index: Int) -> MapNode {
    precondition(!isLeaf && index >= 0 && index < count, "the node has that child")
    // SAFETY: see the precondition.
    return unsafe children[index]
  }

  /// The child, which after the call is in no other tree.
  func uniqueChild(at index: Int) -> MapNode {
    precondition(!isLeaf && index >= 0 && index < count, "the node has that child")
    // SAFETY: see the precondition; a shared child is replaced by a copy that only this node has.
    if unsafe !isKnownUniquelyReferenced(&children[index]) {
      unsafe children[index] = children[index].copy()
    }
    return unsafe children[index]
  }

  /// The child whose keys `key` would be among, which after the call is in no other tree.
  func uniqueChildReference(for key: borrowing Span<UInt8>) -> Unmanaged<MapNode> {
    precondition(!isLeaf && count > 0, "an inner node has children")
    let index = childIndex(for: key)
    // SAFETY: the index is below `count`; the child is kept by this node.
    if unsafe !isKnownUniquelyReferenced(&children[index]) {
      unsafe children[index] = children[index].copy()
    }
    return unsafe Unmanaged.passUnretained(children[index])
  }

  /// The first place whose key does not come before `key`, and whether it is `key`.
  func search(_ key: borrowing Span<UInt8>) -> (index: Int, isFound: Bool) {
    if guardsPrefix, let index = placeOutsidePrefix(key) { return (index, false) }
    let target = Self.head(of: key, behind: prefix)
    let end = keyCount
    var low = placesBefore(target, end)
    var high = low
    // SAFETY: places below `keyCount` are read.
    let heads = unsafe self.heads
    while high < end, unsafe heads[high] == target { high += 1 }
    while low < high {
      let middle = (low + high) / 2
      let order = compareKey(at: middle, to: key)
      guard order != 0 else { return (middle, true) }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return (low, false)
  }

  /// Where a key belongs that lacks the prefix of all separators, or nil if it has it.
  private func placeOutsidePrefix(_ key: borrowing Span<UInt8>) -> Int? {
    guard prefix > 0, keyCount > 0 else { return nil }
    // SAFETY: the first place is initialized, and has the prefix.
    let shared = unsafe separators[0].span.extracting(first: prefix)
    let order = Record.compare(key.extracting(first: min(key.count, prefix)), shared)
    return order == 0 ? nil : order < 0 ? 0 : keyCount
  }

  /// How many of the first `end` heads are below `target`.
  ///
  /// First every eighth head is looked at, then the eight of one cache line. None of these loads waits for
  /// another, so a node that is not in the cache costs one wait for memory, where a binary search has four.
  private func placesBefore(_ target: UInt64, _ end: Int) -> Int {
    // SAFETY: `end` is not above `keyCount`.
    let heads = unsafe self.heads
    var lines = 0
    var place = 0
    while place < end {
      lines += unsafe heads[place] < target ? 1 : 0
      place += 8
    }
    guard lines > 0 else { return 0 }
    let start = (lines - 1) * 8
    var before = start
    place = start
    let lineEnd = min(start + 8, end)
    while place < lineEnd {
      before += unsafe heads[place] < target ? 1 : 0
      place += 1
    }
    return before
  }

  /// The record under `key` in this subtree.
  func lookUp(_ key: borrowing Span<UInt8>) -> Record? {
    // SAFETY: the root is kept by the caller and each node by its parent, so none needs to be counted.
    var node = unsafe Unmanaged.passUnretained(self)
    while true {
      let (child, record) = unsafe node._withUnsafeGuaranteedRef { node in
        let (index, isFound) = node.search(key)
        guard node.isLeaf else {
          let child = unsafe node.children[isFound ? index + 1 : index]
          return unsafe (Unmanaged.passUnretained(child) as Unmanaged<MapNode>?, nil as Record?)
        }
        return unsafe (nil, isFound ? node.records[index] : nil)
      }
      guard let child = unsafe child else { return record }
      unsafe node = unsafe child
    }
  }

  /// Looks at places that will be read next, so that the waits for memory run side by side.
  func touch(_ places: Range<Int>) {
    precondition(isLeaf && places.upperBound <= count, "the leaf has these records")
    var sum = 0
    // SAFETY: see the precondition.
    for index in places { sum &+= unsafe records[index].byteCount }
    precondition(sum != .min, "records are not as long as that")
  }

  /// The child whose keys `key` would be among.
  func childIndex(for key: borrowing Span<UInt8>) -> Int {
    let (index, isFound) = search(key)
    return isFound ? index + 1 : index
  }

  private func compareKey(at index: Int, to key: borrowing Span<UInt8>) -> Int {
    // SAFETY: the callers pass places below `keyCount`.
    if isLeaf { return unsafe records[index].compare(to: key) }
    return unsafe Record.compare(separators[index].span, key)
  }

  /// The eight bytes of a key behind a prefix, the first most significant; missing ones count as 0.
  private static func head(of key: borrowing Span<UInt8>, behind prefix: Int) -> UInt64 {
    let available = key.count - prefix
    guard available < 8 else {
      // SAFETY: eight bytes are there from `prefix` on.
      return unsafe key.withUnsafeBytes { bytes in
        unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: prefix, as: UInt64.self))
      }
    }
    var head: UInt64 = 0
    for offset in 0..<max(available, 0) {
      head |= UInt64(key[prefix + offset]) << UInt64(56 - 8 * offset)
    }
    return head
  }

  // MARK: Looking ahead

  /// Brings near what a search in this node looks at.
  func prefetch() {
    // SAFETY: a hint; nothing is read.
    unsafe Prefetch.bytes(at: UnsafeRawPointer(fields), count: 32 + 8 * Self.capacity)
  }

  /// The child where `key` most likely is, by heads alone: a guess that costs no look at a key.
  func likelyChild(for key: borrowing Span<UInt8>) -> Unmanaged<MapNode> {
    precondition(!isLeaf && count > 0, "an inner node has children")
    let end = keyCount
    let target = Self.head(of: key, behind: prefix)
    var index = placesBefore(target, end)
    // SAFETY: `index` is below `keyCount`, hence below `count`.
    if index < end, unsafe heads[index] == target { index += 1 }
    return unsafe Unmanaged.passUnretained(children[index])
  }

  /// The place where `key` most likely is, brought near.
  func likelyPlace(for key: borrowing Span<UInt8>) -> Int {
    let place = placesBefore(Self.head(of: key, behind: prefix), keyCount)
    // SAFETY: a hint; nothing is read.
    unsafe Prefetch.bytes(at: UnsafeRawPointer(records + place), count: 1)
    return place
  }

  /// Brings near the record at a place, if there is one.
  func prefetchRecord(at place: Int) {
    precondition(isLeaf, "records are in leaves")
    // SAFETY: the place is initialized.
    if place < count { unsafe records[place].prefetch() }
  }

  /// Lends the record at a place, if there is one.
  func withRecord(at place: Int, _ body: (borrowing Record) -> Void) {
    precondition(isLeaf, "records are in leaves")
    // SAFETY: the place is initialized.
    if place < count { unsafe body(records[place]) }
  }

  // MARK: Changing a leaf

  /// Puts what `make` answers in the place of the version under `key`, and answers that one.
  ///
  /// Nothing is changed, and the answer is nil, if there is no version or `make` answers nil.
  func exchangeLive(
    _ key: borrowing Span<UInt8>,
    _ make: (borrowing Record) -> Record?
  ) -> Record? {
    precondition(isLeaf, "records are in leaves")
    let (index, isFound) = search(key)
    // SAFETY: a place that was found is initialized, and is again before anything else happens.
    guard isFound, unsafe !records[index].isTombstone, let new = unsafe make(records[index]) else {
      return nil
    }
    let old = unsafe (records + index).move()
    unsafe (records + index).initialize(to: new)
    return old
  }

  /// Puts another record in the place of one with the same key; answers that one.
  func replaceRecord(at index: Int, by record: Record) -> Record {
    precondition(isLeaf && index >= 0 && index < count, "the leaf has that record")
    // SAFETY: see the precondition.
    let old = unsafe records[index]
    unsafe records[index] = record
    live += (record.isTombstone ? 0 : 1) - (old.isTombstone ? 0 : 1)
    return old
  }

  func insertRecord(_ record: Record, at index: Int) {
    precondition(isLeaf && index >= 0 && index <= count && !isFull, "the leaf has room there")
    // SAFETY: see the precondition: there are `count - index` places to move, and room for one more.
    unsafe Self.open(heads, at: index, count: count)
    unsafe Self.open(records, at: index, count: count)
    unsafe heads[index] = record.withKey { Self.head(of: $0, behind: prefix) }
    unsafe (records + index).initialize(to: record)
    unsafe fields.pointee.count += 1
    if !record.isTombstone { live += 1 }
  }

  func removeRecord(at index: Int) -> Record {
    precondition(isLeaf && index >= 0 && index < count, "the leaf has that record")
    // SAFETY: see the precondition; the place is closed after its record was moved out.
    let record = unsafe (records + index).move()
    unsafe Self.close(heads, at: index, count: count)
    unsafe Self.close(records, at: index, count: count)
    unsafe fields.pointee.count -= 1
    if !record.isTombstone { live -= 1 }
    return record
  }

  // MARK: Changing an inner node

  /// Makes `child` the first child of a node that has none.
  func setFirstChild(_ child: MapNode) {
    precondition(!isLeaf && count == 0, "the node has no children yet")
    // SAFETY: the first place is not initialized yet.
    unsafe children.initialize(to: child)
    unsafe fields.pointee.count = 1
    live = child.live
  }

  /// Makes a root's prefix what all its separators have in common.
  func guardPrefix() {
    guard !isLeaf else { return takePrefix(0) }
    unsafe fields.pointee.guardsPrefix = true
    guard keyCount > 0 else { return }
    takePrefix(
      MapNode.commonPrefix(separator(at: 0).span, separator(at: keyCount - 1).span)
    )
  }

  /// Adds a child behind another, with the separator between them.
  func insertChild(_ child: MapNode, behind index: Int, separator: [UInt8]) {
    precondition(!isLeaf && index >= 0 && index < count && !isFull, "the node has room there")
    if guardsPrefix {
      let common =
        keyCount == 0
        ? separator.count : MapNode.commonPrefix(self.separator(at: 0).span, separator.span)
      takePrefix(keyCount == 0 ? common : min(common, prefix))
    }
    // SAFETY: see the precondition.
    unsafe Self.open(heads, at: index, count: keyCount)
    unsafe Self.open(separators, at: index, count: keyCount)
    unsafe Self.open(children, at: index + 1, count: count)
    unsafe heads[index] = Self.head(of: separator.span, behind: prefix)
    unsafe (separators + index).initialize(to: separator)
    unsafe (children + index + 1).initialize(to: child)
    unsafe fields.pointee.count += 1
  }

  /// Takes away the child behind `index` and the separator before it.
  func removeChild(behind index: Int) {
    precondition(!isLeaf && index >= 0 && index + 1 < count, "the node has that child")
    // SAFETY: see the precondition; places are closed after they were emptied.
    unsafe (separators + index).deinitialize(count: 1)
    unsafe (children + index + 1).deinitialize(count: 1)
    unsafe Self.close(heads, at: index, count: keyCount)
    unsafe Self.close(separators, at: index, count: keyCount)
    unsafe Self.close(children, at: index + 1, count: count)
    unsafe fields.pointee.count -= 1
  }

  // MARK: Splitting and merging

  /// Moves the places from `index` on to a new node; answers it and what separates the two.
  func split(at index: Int) -> (right: MapNode, separator: [UInt8]) {
    let right = MapNode.make(level: level, prefix: prefix)
    unsafe right.fields.pointee.guardsPrefix = guardsPrefix
    let moved = count - index
    let separator: [UInt8]
    if isLeaf {
      precondition(index > 0 && index < count, "both halves keep something")
      separator = Self.separator(between: record(at: index - 1), and: record(at: index))
      // SAFETY: `moved` places are initialized here and none there.
      unsafe right.heads.update(from: heads + index, count: moved)
      unsafe right.records.moveInitialize(from: records + index, count: moved)
      unsafe fields.pointee.count = index
      unsafe right.fields.pointee.count = moved
    } else {
      precondition(index > 1 && index < count, "both halves keep something")
      // SAFETY: as above; the separator before the first moved child leaves the node.
      separator = unsafe (separators + index - 1).move()
      unsafe right.heads.update(from: heads + index, count: moved - 1)
      unsafe right.separators.moveInitialize(from: separators + index, count: moved - 1)
      unsafe right.children.moveInitialize(from: children + index, count: moved)
      unsafe fields.pointee.count = index
      unsafe right.fields.pointee.count = moved
    }
    recountLive()
    right.recountLive()
    return (right, separator)
  }

  /// Takes over all that `right`, the next node, has; `separator` stood between them.
  func append(_ right: MapNode, separator: [UInt8], prefix: Int) {
    precondition(count + right.count <= Self.capacity && level == right.level, "both fit into one")
    let places = keyCount
    // SAFETY: see the precondition. What is shared with another tree is copied, not moved.
    if isLeaf {
      unsafe (records + count).initialize(from: right.records, count: right.count)
    } else {
      unsafe (separators + places).initialize(to: separator)
      unsafe (separators + places + 1).initialize(from: right.separators, count: right.keyCount)
      unsafe (children + count).initialize(from: right.children, count: right.count)
    }
    unsafe fields.pointee.count += right.count
    live += right.live
    unsafe fields.pointee.prefix = prefix
    unsafe fields.pointee.guardsPrefix = false
    takeHeads()
  }

  /// Notes a prefix that all keys must have which a search can bring here, if it is no shorter than the one in use.
  func provePrefix(_ prefix: Int) {
    guard prefix >= self.prefix else { return }
    unsafe fields.pointee.guardsPrefix = false
    takePrefix(prefix)
  }

  private func takePrefix(_ prefix: Int) {
    guard prefix != self.prefix else { return }
    unsafe fields.pointee.prefix = prefix
    takeHeads()
  }

  private func takeHeads() {
    for index in 0..<keyCount {
      // SAFETY: the places below `keyCount` are initialized.
      unsafe heads[index] =
        isLeaf
        ? records[index].withKey { Self.head(of: $0, behind: prefix) }
        : Self.head(of: separators[index].span, behind: prefix)
    }
  }

  private func recountLive() {
    var sum = 0
    for index in 0..<count {
      sum += isLeaf ? (record(at: index).isTombstone ? 0 : 1) : child(at: index).live
    }
    live = sum
  }

  /// The shortest key that is above `left` and not above `right`.
  static func separator(between left: Record, and right: Record) -> [UInt8] {
    left.withKey { left in
      right.withKey { right in
        let common = commonPrefix(left, right)
        return right.extracting(first: min(common + 1, right.count)).copied()
      }
    }
  }

  /// How many bytes two keys share at their beginning.
  static func commonPrefix(_ left: borrowing Span<UInt8>, _ right: borrowing Span<UInt8>) -> Int {
    let limit = min(left.count, right.count)
    var count = 0
    while count < limit, left[count] == right[count] { count += 1 }
    return count
  }

  /// Moves the places from `index` on one up.
  private static func open<Value>(
    _ places: UnsafeMutablePointer<Value>,
    at index: Int,
    count: Int
  ) {
    // SAFETY: the callers check that there is room for one more than `count`.
    unsafe (places + index + 1).moveInitialize(from: places + index, count: count - index)
  }

  /// Moves the places behind `index`, which is empty, one down.
  private static func close<Value>(
    _ places: UnsafeMutablePointer<Value>,
    at index: Int,
    count: Int
  ) {
    // SAFETY: the callers check that `index` is below `count`.
    unsafe (places + index).moveInitialize(from: places + index + 1, count: count - index - 1)
  }
}
