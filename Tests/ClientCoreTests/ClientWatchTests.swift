import RoostClientCore
import RoostWire
import Testing

/// One sequence without gap or repeat, whatever happens to nodes and links.
@Suite struct ClientWatchTests {
  private static let range = KeyRange(prefix: [97])

  private static func change(_ revision: UInt64, _ key: UInt8 = 97) -> WatchEvent.Change {
    let revisions = (created: Revision(1), modified: Revision(revision))
    let entry = KeyValue(key: [97, key], value: [1], revisions: revisions, version: 1)
    return WatchEvent.Change(isRemoval: false, entry: entry)
  }

  /// The watch frames that were sent since the last look.
  private static func asked(_ world: inout Conversation) throws -> [(UInt64, WatchRequest)] {
    try world.takeFrames().filter { $0.kind == .watch }.map {
      ($0.correlation, try WatchRequest(decodingAll: $0.body))
    }
  }

  private static func tell(
    _ world: inout Conversation,
    _ number: UInt64,
    through revision: UInt64,
    _ changes: [WatchEvent.Change],
    hasMore: Bool = false,
    on link: LinkID
  ) {
    let event = WatchEvent(
      watches: [number],
      revision: Revision(revision),
      hasMore: hasMore,
      changes: changes
    )
    world.tell(.watch(event), on: link)
  }

  /// The revisions and keys that were told.
  private static func told(_ world: Conversation) -> [[UInt64]] {
    world.effects.notices.flatMap { notice -> [[UInt64]] in
      guard case .watch(_, .changes(let changes, _, _)) = notice else { return [] }
      return changes.map { [$0.entry.modified.rawValue, UInt64($0.entry.key[1])] }
    }
  }

  /// A conversation in which a watch runs from revision 5 on.
  private static func started(
    _ change: (inout ClientSettings) -> Void = { _ in }
  ) throws -> (Conversation, LinkID, WatchID, WatchRequest) {
    var world = Conversation(endpoints: 2, change)
    let wanted = WatchRequest(watch: 0, range: range)
    let id = world.machine.watch(wanted, now: world.now, into: &world.effects)
    let link = try world.accept()
    let (correlation, request) = try #require(try asked(&world).first)
    #expect(request.start == .zero && request.range == range)
    world.answer(CallID(correlation), .watching(from: Revision(5)), on: link)
    #expect(world.effects.notices == [.watch(id, .started(from: Revision(5)))])
    return (world, link, id, request)
  }

  @Test func aWatchGoesOnBehindTheLastRevisionThatWasTold() throws {
    var (world, link, _, first) = try Self.started()
    Self.tell(&world, first.watch, through: 7, [Self.change(6), Self.change(7)], on: link)
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    let request = try #require(try Self.asked(&world).first?.1)
    #expect(request.start == Revision(8) && request.watch != first.watch)
    // What the first node still had to say is nobody's news.
    Self.tell(&world, first.watch, through: 8, [Self.change(8)], on: second)
    Self.tell(&world, request.watch, through: 9, [Self.change(8), Self.change(9)], on: second)
    #expect(Self.told(world).map { $0[0] } == [6, 7, 8, 9])
  }

  @Test func aWatchThatBrokeBeforeItsFirstNewsMissesNothing() throws {
    var (world, link, _, _) = try Self.started()
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    _ = try world.accept()
    #expect(try Self.asked(&world).first?.1.start == Revision(5))
  }

  @Test func aRevisionThatWasToldInPartIsNotToldTwice() throws {
    var (world, link, _, first) = try Self.started()
    let parts = (97...100).map { Self.change(6, $0) }
    Self.tell(&world, first.watch, through: 6, Array(parts[..<2]), hasMore: true, on: link)
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    let second = try world.accept()
    let request = try #require(try Self.asked(&world).first?.1)
    #expect(request.start == Revision(6))
    // This node cuts the revision elsewhere.
    Self.tell(&world, request.watch, through: 6, Array(parts[..<3]), hasMore: true, on: second)
    Self.tell(&world, request.watch, through: 7, [parts[3], Self.change(7)], on: second)
    #expect(Self.told(world) == [[6, 97], [6, 98], [6, 99], [6, 100], [7, 97]])
  }

  @Test func aReaderThatIsBehindCostsNoMoreThanItsBudget() throws {
    var (world, link, id, first) = try Self.started { $0.watchByteBudget = 200 }
    let batch = (6...9).map { Self.change(UInt64($0)) }
    Self.tell(&world, first.watch, through: 9, batch, on: link)
    #expect(try world.takeFrames().map(\.kind) == [.cancelWatch])
    Self.tell(&world, first.watch, through: 10, [Self.change(10)], on: link)
    #expect(Self.told(world).count == 4)
    world.machine.didRead(100, of: id, now: world.now, into: &world.effects)
    #expect(try Self.asked(&world).isEmpty)
    world.machine.didRead(168, of: id, now: world.now, into: &world.effects)
    #expect(try Self.asked(&world).first?.1.start == Revision(10))
  }

  @Test func compactedHistoryEndsAWatch() throws {
    var (world, link, id, first) = try Self.started()
    let end = WatchEvent(
      watches: [first.watch],
      revision: Revision(5),
      compactedBelow: Revision(90)
    )
    world.tell(.watch(end), on: link)
    #expect(world.effects.notices.last == .watch(id, .compacted(oldest: Revision(90))))
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    #expect(world.effects.connects.isEmpty, "nothing is left to be asked")
  }

  @Test func aNodeWithoutALeaderIsLeft() throws {
    var (world, link, _, _) = try Self.started()
    world.wait(.milliseconds(800))
    #expect(try world.takeFrames().map(\.kind) == [.status], "a silent node is asked")
    var status = NodeStatus()
    status.quietNanoseconds = 4_000_000_000
    var bytes: [UInt8] = []
    bytes.appendFrame(.reply, correlation: 0) { status.encode(into: &$0) }
    world.receive(bytes, on: link)
    #expect(try world.takeFrames().map(\.kind) == [.cancelWatch])
    #expect(world.takeConnect()?.endpoint == 1)
  }

  @Test func aCancelledWatchIsSilent() throws {
    var (world, link, id, first) = try Self.started()
    world.machine.cancelWatch(id, now: world.now, into: &world.effects)
    #expect(try world.takeFrames().map(\.kind) == [.cancelWatch])
    Self.tell(&world, first.watch, through: 6, [Self.change(6)], on: link)
    #expect(Self.told(world).isEmpty)
  }

  @Test func manyWatchesShareOneLink() throws {
    var world = Conversation(endpoints: 1)
    let ids = (0..<100).map { _ in
      world.machine.watch(
        WatchRequest(watch: 0, range: Self.range, start: Revision(3)),
        now: world.now,
        into: &world.effects
      )
    }
    let link = try world.accept()
    let asked = try Self.asked(&world)
    #expect(asked.count == 100 && Set(asked.map(\.1.watch)).count == 100)
    for (_, request) in asked.reversed() {
      Self.tell(&world, request.watch, through: 3, [Self.change(3)], on: link)
    }
    let told = world.effects.notices.compactMap { notice -> WatchID? in
      if case .watch(let id, .changes) = notice { id } else { nil }
    }
    #expect(told == ids.reversed())
  }

  /// A conversation in which so many watches of the same range run from revision 3 on.
  private static func several(
    _ count: Int,
    _ change: (inout ClientSettings) -> Void = { _ in }
  ) throws -> (Conversation, LinkID, [WatchID], [UInt64]) {
    var world = Conversation(endpoints: 2, change)
    let ids = (0..<count).map { _ in
      world.machine.watch(
        WatchRequest(watch: 0, range: range, start: Revision(3)),
        now: world.now,
        into: &world.effects
      )
    }
    let link = try world.accept()
    let numbers = try asked(&world).map(\.1.watch)
    return (world, link, ids, numbers)
  }

  private static func tell(
    _ world: inout Conversation,
    _ numbers: [UInt64],
    through revision: UInt64,
    _ changes: [WatchEvent.Change],
    on link: LinkID
  ) {
    let event = WatchEvent(watches: numbers, revision: Revision(revision), changes: changes)
    world.tell(.watch(event), on: link)
  }

  private static func toldTo(_ world: Conversation) -> [WatchID: [UInt64]] {
    var told: [WatchID: [UInt64]] = [:]
    for notice in world.effects.notices {
      guard case .watch(let id, .changes(let changes, _, _)) = notice else { continue }
      told[id, default: []] += changes.map { $0.entry.modified.rawValue }
    }
    return told
  }

  @Test func oneEventTellsAllWatchesThatItNames() throws {
    var (world, link, ids, numbers) = try Self.several(3)
    let stranger = numbers[2] + 1
    Self.tell(&world, numbers + [stranger], through: 4, [Self.change(3), Self.change(4)], on: link)
    Self.tell(&world, [numbers[2], numbers[0]], through: 5, [Self.change(5)], on: link)
    #expect(Self.toldTo(world) == [ids[0]: [3, 4, 5], ids[1]: [3, 4], ids[2]: [3, 4, 5]])
    world.machine.didBreak(link, because: "reset", now: world.now, into: &world.effects)
    _ = try world.accept()
    let starts = try Self.asked(&world).map(\.1.start.rawValue)
    #expect(starts.sorted() == [5, 6, 6], "each goes on behind what it was told")
  }

  @Test func aWatchThatWasCancelledHearsNothingOfAnEventForSeveral() throws {
    var (world, link, ids, numbers) = try Self.several(3)
    world.machine.cancelWatch(ids[1], now: world.now, into: &world.effects)
    // The node sent it before it knew.
    Self.tell(&world, numbers, through: 3, [Self.change(3)], on: link)
    #expect(Self.toldTo(world) == [ids[0]: [3], ids[2]: [3]])
  }

  @Test func eachWatchOfAnEventTakesOfItWhatItHasNotHeard() throws {
    var (world, link, ids, numbers) = try Self.several(2)
    Self.tell(&world, [numbers[0]], through: 4, [Self.change(3), Self.change(4)], on: link)
    Self.tell(&world, numbers, through: 5, (3...5).map { Self.change($0) }, on: link)
    // An event that names a watch twice tells it once.
    Self.tell(&world, [numbers[0], numbers[0]], through: 6, [Self.change(6)], on: link)
    #expect(Self.toldTo(world) == [ids[0]: [3, 4, 5, 6], ids[1]: [3, 4, 5]])
  }

  @Test func oneSlowReaderOfAnEventForSeveralStopsItsOwnWatchAlone() throws {
    var (world, link, ids, numbers) = try Self.several(2) { $0.watchByteBudget = 200 }
    Self.tell(&world, numbers, through: 4, [Self.change(3), Self.change(4)], on: link)
    world.machine.didRead(134, of: ids[1], now: world.now, into: &world.effects)
    Self.tell(&world, numbers, through: 6, [Self.change(5), Self.change(6)], on: link)
    let cancelled = try world.takeFrames().filter { $0.kind == .cancelWatch }
    var first: [UInt8] = []
    first.append(littleEndian: numbers[0])
    #expect(cancelled.map(\.body) == [first])
    Self.tell(&world, numbers, through: 7, [Self.change(7)], on: link)
    #expect(Self.toldTo(world) == [ids[0]: [3, 4, 5, 6], ids[1]: [3, 4, 5, 6, 7]])
  }

  @Test func anEndEndsAllWatchesThatItNames() throws {
    var (world, link, ids, numbers) = try Self.several(3)
    let end = WatchEvent(
      watches: Array(numbers[..<2]),
      revision: Revision(3),
      compactedBelow: Revision(9)
    )
    world.tell(.watch(end), on: link)
    Self.tell(&world, numbers, through: 3, [Self.change(3)], on: link)
    #expect(Self.toldTo(world) == [ids[2]: [3]])
    let ends = world.effects.notices.filter { notice in
      ids[..<2].contains { notice == .watch($0, .compacted(oldest: Revision(9))) }
    }
    #expect(ends.count == 2)
  }
}
