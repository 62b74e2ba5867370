internal import RoostRaft
internal import RoostWire

/// A message under way.
struct ExploredPacket: Hashable {
  let sender: NodeID
  let recipient: NodeID
  let message: Message
}

/// What survives a crash.
struct ExploredDisk: Hashable {
  var incarnation = Incarnation.zero
  var hardState = HardState()
  var mark: SnapshotMark
  var entries: [Entry] = []
  /// Where the log ended before it was damaged.
  var promised = LogPosition.start
  var snapshot: SnapshotDescriptor?

  /// The last index that is on the disk.
  var lastIndex: LogIndex { entries.last?.index ?? mark.index }

  mutating func perform(_ write: PendingWrite) {
    perform(write, entryCount: write.entries.count)
    if let hardState = write.hardState { self.hardState = hardState }
  }

  /// As much of a write as a crash left: some of its entries, and nothing that comes behind them.
  mutating func perform(_ write: PendingWrite, entryCount: Int) {
    if let restart = write.restart {
      mark = restart.mark
      snapshot = restart
      entries = []
    }
    if let first = write.truncateFrom { entries.removeAll { $0.index >= first } }
    entries += write.entries.prefix(entryCount)
  }
}

/// A write that was handed to the disk.
struct PendingWrite: Hashable {
  let ticket: Ticket
  let restart: SnapshotDescriptor?
  let truncateFrom: LogIndex?
  let entries: [Entry]
  var hardState: HardState?

  init(_ write: Write) {
    ticket = Ticket(value: write.ticket)
    restart = write.restart
    truncateFrom = write.truncateFrom
    entries = write.entries
    hardState = write.hardState
  }

  /// A ticket is a name: which one it is makes no difference.
  struct Ticket: Hashable {
    let value: WriteTicket

    static func == (left: Ticket, right: Ticket) -> Bool { true }

    func hash(into hasher: inout Hasher) {}
  }
}

/// Something that can happen to one node by itself.
enum ExploredMove: Hashable {
  case sync
  /// The node stops and starts again: some writes have reached the disk, and of the next one a part.
  case crash(writes: Int, entriesOfNext: Int?)
  /// The node starts again with the entries up to an index, and knows that there were more.
  case damage(after: LogIndex)
  /// The node starts again with an empty disk.
  case loseJournal
  case timeout
  case heartbeat
  case propose
  case stepDown
  case read(ReadID)
  case askAgain
  case change(Int)
  case transfer(to: NodeID)
  case snapshot
  case snapshotChecked
}

/// A node of the search with its disk: the shipped core, and a shell around it that performs effects.
struct ExploredNode: Hashable {
  var core: Consensus
  var disk: ExploredDisk
  var writes: [PendingWrite] = []
  /// A snapshot of which all parts have come.
  var checking: SnapshotDescriptor?
  /// Rounds that it began as a leader without being asked.
  var heartbeatCount = 0
  /// How often it was started, where that makes a difference.
  var startCount: UInt64 = 0

  init(_ id: NodeID, in model: ExplorationModel) {
    let membership = model.isFounder(id) ? model.founding : .none
    disk = ExploredDisk(mark: SnapshotMark(founding: membership))
    core = Self.start(id, from: disk, startCount: 0, in: model)
  }

  var id: NodeID { core.id }

  static func start(
    _ id: NodeID,
    from disk: ExploredDisk,
    startCount: UInt64,
    in model: ExplorationModel
  ) -> Consensus {
    let restored = Restored(
      incarnation: disk.incarnation,
      hardState: disk.hardState,
      mark: disk.mark,
      entries: disk.entries,
      snapshot: disk.snapshot,
      promised: disk.promised
    )
    var core = Consensus(
      id: id,
      settings: model.settings,
      restored: restored,
      random: SplitMix64(seed: startCount),
      now: ExplorationModel.moment
    )
    core.standStill(at: ExplorationModel.moment)
    #if PLANTED_BUGS
    if let flaw = model.flaw { core = core.planted(flaw) }
    #endif
    return core
  }

  func renamed(_ name: (NodeID) -> NodeID) -> ExploredNode {
    var copy = self
    copy.core = core.renamed(name)
    copy.disk.hardState.vote = name(disk.hardState.vote)
    for index in writes.indices {
      guard let vote = writes[index].hardState?.vote else { continue }
      copy.writes[index].hardState?.vote = name(vote)
    }
    return copy
  }

  /// What can happen to the node by itself, whatever the others do.
  func moves(in model: ExplorationModel) -> [ExploredMove] {
    var moves: [ExploredMove] = writes.isEmpty ? [] : [.sync]
    if checking != nil { moves.append(.snapshotChecked) }
    moves += core.isLeader ? leaderMoves(in: model) : followerMoves(in: model)
    for read in 0..<model.readLimit { moves.append(.read(ReadID(UInt64(read) + 1))) }
    if model.snapshotLimit > 0, canSaveSnapshot { moves.append(.snapshot) }
    if model.crashLimit > 0 { moves += crashes(in: model) }
    if model.damageLimit > 0 {
      moves += disk.entries.map { .damage(after: LogIndex($0.index.rawValue - 1)) }
    }
    if model.amnesiaLimit > 0 { moves.append(.loseJournal) }
    return moves
  }

  private func leaderMoves(in model: ExplorationModel) -> [ExploredMove] {
    var moves: [ExploredMove] = []
    if core.lastIndex.rawValue < model.entryLimit { moves.append(.propose) }
    if heartbeatCount < model.heartbeatLimit { moves.append(.heartbeat) }
    if model.stepDownLimit > 0 { moves.append(.stepDown) }
    moves += model.changes.indices.map { .change($0) }
    if model.transferLimit > 0, core.term.rawValue < model.termLimit {
      moves += core.membership.members.map { .transfer(to: $0.id) }
    }
    return moves
  }

  private func followerMoves(in model: ExplorationModel) -> [ExploredMove] {
    var moves: [ExploredMove] = core.term.rawValue < model.termLimit ? [.timeout] : []
    if model.readLimit > 0, core.leader > .zero { moves.append(.askAgain) }
    return moves
  }

  private var canSaveSnapshot: Bool {
    writes.isEmpty && core.durableIndex >= core.commitIndex
      && core.commitIndex > core.snapshot?.mark.index ?? .zero
  }

  private func crashes(in model: ExplorationModel) -> [ExploredMove] {
    var moves: [ExploredMove] = []
    for count in 0...writes.count {
      moves.append(.crash(writes: count, entriesOfNext: nil))
      guard model.tearsWrites, count < writes.count else { continue }
      let write = writes[count]
      let isLonger = write.truncateFrom != nil || write.restart != nil
      let isFollowed = write.hardState != nil
      for part in 0...write.entries.count {
        if part == 0, !isLonger { continue }
        if part == write.entries.count, !isFollowed { continue }
        moves.append(.crash(writes: count, entriesOfNext: part))
      }
    }
    return moves
  }
}
