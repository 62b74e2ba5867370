import RoostWire

/// One of everything that goes over the wire, under the name that Docs/COMMANDS.md gives it.
enum CommandExamples {
  private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private static let range = KeyRange(prefix: bytes("jobs/"))
  private static let grant = LockGuard(lock: bytes("deploy"), token: 41)
  private static let entry = KeyValue(
    key: bytes("a"),
    value: bytes("1"),
    revisions: (Revision(5), Revision(7)),
    version: 2
  )

  private static let options: WriteOptions = {
    var options = WriteOptions(wantsPrevious: true, lifetime: .milliseconds(30_000))
    options.lockGuard = grant
    options.condition = .version(3)
    return options
  }()

  static let commands: [(name: String, command: Command)] = [
    ("put", .operation(.put(Put(key: bytes("a"), value: bytes("1"))))),
    ("put with all options", .operation(.put(Put(key: bytes("a"), value: [], options: options)))),
    ("delete", .operation(.delete(Delete(key: bytes("a"))))),
    (
      "delete range",
      .operation(.deleteRange(DeleteRange(range, wantsPrevious: true, limit: 100)))
    ),
    ("add", .operation(.update(Update(key: bytes("n"), .add(-2))))),
    ("append", .operation(.update(Update(key: bytes("n"), .append(bytes("xy")))))),
    (
      "transaction",
      .operation(
        .transaction(
          Transaction(
            compares: [Compare(.version(key: bytes("a"), 2)), Compare(.lockHeld(grant))],
            then: [.put(Put(key: bytes("a"), value: bytes("2")))],
            otherwise: [.get(Get(key: bytes("a")))]
          )
        )
      )
    ),
    ("open session", .openSession(OpenSession(ttl: 10_000, label: bytes("worker 7")))),
    ("keep alive", .keepAlive),
    ("close session", .closeSession),
    (
      "outcome",
      .outcome(Outcome(session: SessionID(0x0200_0002), sequence: SequenceNumber(9)))
    ),
    ("grant lease", .grantLease(ttl: 60_000)),
    ("renew leases", .renewLeases([0x0200_0003, 0x0200_0005])),
    ("revoke lease", .revokeLease(0x0200_0003)),
    ("acquire", .acquire(Acquire([Acquire.Want(bytes("deploy"))], wait: 5000))),
    (
      "acquire two",
      .acquire(
        Acquire(
          [
            Acquire.Want(bytes("deploy"), .shared),
            Acquire.Want(bytes("slots"), .permits(2, of: 8)),
          ],
          owner: 1,
          wait: 0,
          delay: 1000
        )
      )
    ),
    ("release", .release(Release(token: 41, name: bytes("deploy")))),
    ("cancel acquire", .cancelAcquire(SequenceNumber(9))),
    ("force release", .forceRelease(bytes("deploy"))),
    ("bind prefix", .bindPrefix(BindPrefix(prefix: bytes("jobs/"), lock: bytes("deploy")))),
    ("unbind prefix", .unbindPrefix(bytes("jobs/"))),
    ("compact", .compact(Revision(1000))),
  ]

  static let queries: [(name: String, query: Query)] = [
    ("get", .get(Get(key: bytes("a"), revision: Revision(7)))),
    (
      "range",
      .range(
        {
          var query = RangeQuery(range)
          query.limit = 100
          query.isReverse = true
          query.filter = RangeQuery.Filter(
            modified: Revision(5)...Revision(9),
            created: Revision(0)...Revision(9)
          )
          return query
        }()
      )
    ),
    ("status query", .status),
    ("sessions", .sessions(after: 0, limit: 100)),
    ("leases", .leases(after: 0x0200_0003, limit: 100)),
    ("lease", .lease(0x0200_0003, limit: 10)),
    ("locks", .locks(from: bytes("d"), limit: 100)),
    ("lock", .lock(bytes("deploy"), limit: 10)),
  ]

  static let replies: [(name: String, reply: Reply)] = [
    ("failure", .failure(Failure(.lockBusy, bytes: bytes("deploy")))),
    ("done", .done),
    (
      "written",
      .written(Written(revision: Revision(8), version: 3, number: -2, previous: entry))
    ),
    (
      "deleted",
      .deleted(Deleted(revision: Revision(8), count: 1, more: true, previous: [entry]))
    ),
    ("value", .value(revision: Revision(8), entry)),
    (
      "page",
      .page(Page(revision: Revision(8), count: 1, next: bytes("b"), entries: [entry]))
    ),
    (
      "transaction reply",
      .transaction(
        TransactionReply(
          revision: Revision(8),
          succeeded: true,
          results: [.written(Written(revision: Revision(8), version: 3))]
        )
      )
    ),
    (
      "session opened",
      .sessionOpened(
        SessionOpened(
          session: SessionID(0x0200_0002),
          ttl: 10_000,
          time: ClusterTime(15_000_000_000)
        )
      )
    ),
    ("lease granted", .leaseGranted(id: 0x0200_0003, ttl: 60_000)),
    ("renewed", .renewed([true, false])),
    ("waiting", .lock(.waiting(ahead: 2))),
    ("granted", .lock(.granted(token: 41))),
    ("released", .released(depth: 0)),
    ("outcome executed", .outcome(.executed(.done))),
    ("outcome barred", .outcome(.barred)),
    ("watching", .watching(from: Revision(8))),
    ("observed", .observed(age: 40_000_000, .value(revision: Revision(9), nil))),
    ("status", .inspection(.status(StateStatus()))),
    (
      "session list",
      .inspection(
        .sessions([
          SessionInfo(
            id: SessionID(0x0200_0002),
            ttl: 10_000,
            remaining: 9000,
            storedBytes: 64,
            attached: (keys: 3, claims: 1),
            label: bytes("worker 7")
          )
        ])
      )
    ),
    ("lease list", .inspection(.leases([lease]))),
    ("lease detail", .inspection(.lease(lease, keys: [bytes("a")]))),
    (
      "lock list",
      .inspection(.locks([LockSummary(name: bytes("deploy"), holders: 1, waiters: 2)]))
    ),
    (
      "lock detail",
      .inspection(.lock(LockInfo(counts: (1, 0), rests: 0, holders: [claim], waiters: [])))
    ),
  ]

  private static let lease = LeaseInfo(
    id: 0x0200_0003,
    ttl: 60_000,
    remaining: 59_000,
    owner: SessionID(0x0200_0002),
    keyCount: 1
  )

  private static let claim: ClaimInfo = {
    var claim = ClaimInfo()
    claim.session = SessionID(0x0200_0002)
    claim.sequence = SequenceNumber(9)
    claim.token = 41
    claim.age = 1500
    claim.depth = 1
    claim.label = bytes("worker 7")
    return claim
  }()

  static let events: [(name: String, event: Event)] = [
    ("lock resolved", .lockResolved(SequenceNumber(9), .lock(.granted(token: 41)))),
    ("lock lost", .lockLost(token: 41, name: bytes("deploy"))),
    (
      "watch event",
      .watch(
        WatchEvent(
          watches: [1, 4],
          revision: Revision(8),
          hasMore: true,
          changes: [WatchEvent.Change(isRemoval: false, entry: entry, previous: entry)]
        )
      )
    ),
    (
      "watch end",
      .watch(WatchEvent(watches: [1], revision: Revision(3), compactedBelow: Revision(100)))
    ),
  ]

  static let watch: WatchRequest = {
    var request = WatchRequest(watch: 1, range: range, start: Revision(8))
    request.wantsPrevious = true
    request.wantsProgress = true
    return request
  }()

  /// All examples as bytes.
  static var all: [(name: String, bytes: [UInt8])] {
    commands.map { ($0.name, $0.command.encoded()) }
      + queries.map { ($0.name, $0.query.encoded()) }
      + replies.map { ($0.name, $0.reply.encoded()) }
      + events.map { ($0.name, $0.event.encoded()) }
      + [("watch", watch.encoded())]
  }
}
