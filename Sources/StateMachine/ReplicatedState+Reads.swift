package import RoostWire

/// Questions, answered from the state as it is.
extension ReplicatedState {
  /// Answers a query, as `Query` writes it, by appending a reply.
  ///
  /// - Parameters:
  ///   - query: The query's bytes.
  ///   - session: Who asks, for the question whether it may; 0 for nobody known.
  ///   - output: Where the reply is appended.
  package func read(
    _ query: borrowing Span<UInt8>,
    by session: SessionID = .zero,
    into output: inout [UInt8]
  ) {
    let start = output.count
    if permits == nil, let key = Self.keyOfGet(query) {
      return appendValue(keyspace.find(query.extracting(key)), at: visibleRevision, to: &output)
    }
    do throws(WireError) {
      let query = try Query(decodingAll: query)
      do throws(Failure) {
        try authorise(query, for: session)
        try answer(query, into: &output)
      } catch {
        output.removeSubrange(start...)
        error.encode(into: &output)
      }
    } catch {
      Failure(.malformed).encode(into: &output)
    }
  }

  /// Where the key lies if the query is the most frequent one, a get of the newest.
  static func keyOfGet(_ query: borrowing Span<UInt8>) -> Range<Int>? {
    guard query.count > 11, query[0] == 5 else { return nil }
    let keyEnd = query.count - 8
    var revision = query.extracting(droppingFirst: keyEnd)
    guard Int(query[1]) | Int(query[2]) << 8 == keyEnd - 3,
      keyEnd - 3 <= CommandLimits.keyByteCount, (try? revision.read(UInt64.self)) == 0
    else { return nil }
    return 3..<keyEnd
  }

  private func appendValue(_ record: Record?, at revision: UInt64, to output: inout [UInt8]) {
    output.append(littleEndian: UInt16(0))
    output.append(3)
    output.append(littleEndian: revision)
    output.append(record == nil ? 0 : 1)
    record?.encode(into: &output)
  }

  private func authorise(_ query: Query, for session: SessionID) throws(Failure) {
    guard let permits else { return }
    var isPermitted = true
    Access.forEach(in: query) { access in
      if !permits(access, session) { isPermitted = false }
    }
    guard isPermitted else { throw Failure(.notAuthorised) }
  }

  private func answer(_ query: Query, into output: inout [UInt8]) throws(Failure) {
    switch query {
    case .get(let get): try read(get, into: &output)
    case .range(let range):
      var looks = Looks(limits)
      try read(range, &looks, into: &output)
    case .status: Reply.inspection(.status(status)).encode(into: &output)
    case .sessions(let id, let limit): listSessions(after: id, limit, into: &output)
    case .leases(let id, let limit): listLeases(after: id, limit, into: &output)
    case .lease(let id, let limit): try describe(lease: id, limit, into: &output)
    case .locks(let name, let limit): listLocks(from: name, limit, into: &output)
    case .lock(let name, let limit): describe(lock: name, limit, into: &output)
    }
  }

  /// The revision to read at; `asked` is 0 for the newest.
  private func readable(_ asked: Revision) throws(Failure) -> UInt64 {
    guard asked > .zero else { return visibleRevision }
    guard asked.rawValue >= keyspace.oldest else {
      throw Failure(.compacted, detail: keyspace.oldest)
    }
    guard asked.rawValue <= keyspace.revision else {
      throw Failure(.futureRevision, detail: keyspace.revision)
    }
    return asked.rawValue
  }

  func read(_ get: Get, into output: inout [UInt8]) throws(Failure) {
    let revision = try readable(get.revision)
    var record = keyspace.find(get.key.span)
    if get.revision > .zero {
      let newest = keyspace.map.find(get.key.span)
      record = newest.flatMap { keyspace.version(of: $0, at: revision).record }
    }
    appendValue(record, at: revision, to: &output)
  }

  func read(
    _ query: RangeQuery,
    _ looks: inout Looks,
    into output: inout [UInt8]
  ) throws(Failure) {
    let revision = try readable(query.revision)
    let range = query.range
    if query.countOnly, query.revision == .zero, query.filter == nil {
      var count = keyspace.map.liveCount(from: range.start.span, to: range.end)
      if limits.has(.countsShort) { count = max(count - 1, 0) }
      let page = Page(
        revision: Revision(revision),
        count: UInt64(count),
        next: nil,
        entries: []
      )
      return Reply.page(page).encode(into: &output)
    }
    let start = output.count
    output.append(contentsOf: [0, 0, 4])
    output.append(littleEndian: revision)
    let isPinned = query.revision > .zero
    var page = PageInProgress(query, limits, looks)
    var entries: [UInt8] = []
    keyspace.map.visit(
      from: range.start.span,
      to: range.end,
      isReverse: query.isReverse,
      liveOnly: !isPinned
    ) { newest in
      let (record, past) =
        isPinned
        ? keyspace.version(of: newest, at: revision) : (newest.isTombstone ? nil : newest, 0)
      return page.add(record, past: past, newest: newest, to: &entries)
    }
    looks = page.looks
    output.append(littleEndian: page.count)
    output.append(page.next == nil ? 0 : 1)
    output.append(short: page.next ?? [])
    output.append(littleEndian: query.countOnly ? 0 : UInt32(page.count))
    output.append(contentsOf: entries)
    assert(output.count > start)
  }

  private var status: StateStatus {
    var status = StateStatus()
    status.revision = keyspace.revision
    status.oldestRevision = keyspace.oldest
    status.time = time.rawValue
    status.keys = UInt64(keyspace.map.liveCount)
    status.keyBytes = keyspace.liveBytes
    status.changes = UInt64(keyspace.changes.count)
    status.historyBytes = keyspace.historyBytes
    status.sessions = UInt64(sessions.count)
    status.storedReplyBytes = UInt64(storedReplyBytes)
    status.leases = UInt64(leases.count)
    status.locks = UInt64(locks.locks.count)
    status.claims = UInt64(locks.claims.count)
    status.oneShots = UInt64(oneShots.count)
    status.stateHash = stateHash
    return status
  }
}

/// How many versions of keys one command or query may still look at, in eighths of a key.
///
/// A key that is there counts for one, whatever is done with it then; a tombstone for an eighth.
struct Looks {
  private static var eighths: Int { 8 }
  /// Versions of a key's past that are looked at for nothing: that many any short history has.
  private static var freeVersions: Int { 16 }

  private var left: Int

  init(_ limits: StateLimits) { left = Self.eighths * limits.operations }

  var isSpent: Bool { left <= 0 }

  /// Counts one place of the map, and the versions that were passed to find the one of an old revision.
  mutating func count(isThere: Bool, past: Int = 0) {
    left -= (isThere ? Self.eighths : 1) + max(past - Self.freeVersions, 0)
  }
}

/// A page of a range while it is filled.
private struct PageInProgress {
  let query: RangeQuery
  let keyLimit: Int
  let byteLimit: Int
  private(set) var looks: Looks
  var count: UInt64 = 0
  var byteCount = 0
  /// Where the next page begins, once this one is full.
  var next: [UInt8]?

  init(_ query: RangeQuery, _ limits: StateLimits, _ looks: Looks) {
    self.query = query
    let keys = query.limit == 0 ? limits.pageKeys : Int(query.limit)
    keyLimit = query.countOnly ? .max : min(keys, limits.pageKeys)
    let bytes = query.byteLimit == 0 ? limits.pageBytes : Int(query.byteLimit)
    byteLimit = min(bytes, limits.pageBytes)
    self.looks = looks
  }

  /// Takes the next key of the range; answers whether the page goes on.
  mutating func add(
    _ record: Record?,
    past: Int,
    newest: Record,
    to entries: inout [UInt8]
  ) -> Bool {
    guard !looks.isSpent else { return end(before: newest) }
    looks.count(isThere: record != nil, past: past)
    guard let record, passes(record) else { return true }
    let size = query.countOnly ? 0 : record.encodedByteCount(withValue: !query.keysOnly)
    let isFull = count >= UInt64(keyLimit) || (count > 0 && byteCount + size > byteLimit)
    guard !isFull else { return end(before: newest) }
    count += 1
    byteCount += size
    if !query.countOnly { record.encode(into: &entries, withValue: !query.keysOnly) }
    return true
  }

  private func passes(_ record: Record) -> Bool {
    guard let filter = query.filter else { return true }
    return filter.modified.contains(Revision(record.modified))
      && filter.created.contains(Revision(record.created))
  }

  private mutating func end(before record: Record) -> Bool {
    // Forward the next page starts with this key; in reverse its open end is just behind it.
    next = query.isReverse ? record.key + [0] : record.key
    return false
  }
}
