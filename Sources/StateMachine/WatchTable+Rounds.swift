internal import RoostWire

/// Those who keep up: found by the keys that changed, in rounds of whole revisions.
///
/// A round's watchers are found first and told then. Mostly both happen in one call. If very many watch what one
/// revision changed, finding them and telling them is done over several calls, and the round keeps how far it came;
/// nothing later is told meanwhile, so order is kept.
extension WatchTable {
  /// Changes that are being told to those who keep up.
  struct Round: Sendable {
    let positions: Range<UInt64>
    /// The newest revision of ``positions``.
    let revision: UInt64
    /// Parties to be told, and of each where in ``noted`` the positions that concern it stand, if they do.
    var found: [(party: Int, noted: Range<Int>?)] = []
    var noted: [UInt64] = []
    /// How many of ``found`` have been told.
    var toldCount = 0
    /// Where to go on finding: a position, and a place in the index.
    var scanned: UInt64
    var lastPlace: RangeIndex.Place?
  }

  mutating func tellThoseWhoKeepUp(
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    while steps > 0, seen < changes.next {
      if parties.count == 0, round == nil {
        seen = changes.next
        revision = max(revision, state.keyspace.revision)
        return
      }
      if round == nil { beginRound(state, &steps) }
      guard finishFinding(state, &steps), finishTelling(state, &steps, into: &output),
        let done = round
      else { return }
      seen = done.positions.upperBound
      revision = done.revision
      round = nil
    }
    if seen == changes.next { revision = max(revision, state.keyspace.revision) }
  }

  // MARK: Finding

  /// Takes as many whole revisions as few parties are concerned with, or one, however many that concerns.
  private mutating func beginRound(_ state: ReplicatedState, _ steps: inout Int) {
    let changes = state.keyspace.changes
    var pairs: [(party: Int, position: UInt64)] = []
    var end = seen
    while end < changes.next, steps > 0 {
      let revision = changes[end].revision
      var position = end
      var isWhole = true
      let before = pairs.count
      while isWhole, position < changes.next, changes[position].revision == revision {
        steps -= 1
        isWhole = parties.forEach(around: changes[position].record.key) { party in
          pairs.append((party, position))
          return pairs.count < pairLimit
        }
        position += 1
      }
      guard isWhole else {
        pairs.removeSubrange(before...)
        guard end == seen else { break }
        end = Self.end(ofRevision: revision, from: position, in: changes)
        round = Round(positions: seen..<end, revision: revision, scanned: seen)
        return
      }
      end = position
    }
    steps -= pairs.count
    pairs.sort { ($0.party, $0.position) < ($1.party, $1.position) }
    var round = Round(
      positions: seen..<end,
      revision: changes[end - 1].revision,
      scanned: end
    )
    round.noted = pairs.map(\.position)
    var first = 0
    for place in pairs.indices
    where place + 1 == pairs.count || pairs[place + 1].party != pairs[place].party {
      round.found.append((pairs[place].party, first..<(place + 1)))
      _ = parties.touch(pairs[place].party)
      first = place + 1
    }
    self.round = round
  }

  private static func end(
    ofRevision revision: UInt64,
    from position: UInt64,
    in changes: ChangeLog
  ) -> UInt64 {
    var end = position
    while end < changes.next, changes[end].revision == revision { end += 1 }
    return end
  }

  /// Goes on finding whom a round concerns; answers whether all are found.
  private mutating func finishFinding(_ state: ReplicatedState, _ steps: inout Int) -> Bool {
    guard var current = round else { return true }
    round = nil
    let changes = state.keyspace.changes
    while current.scanned < current.positions.upperBound, steps > 0 {
      steps -= 1
      var newlyFound: [Int] = []
      let limit = steps
      let isWhole = parties.forEach(
        around: changes[current.scanned].record.key,
        after: current.lastPlace
      ) { party in
        newlyFound.append(party)
        return newlyFound.count < limit
      }
      steps -= newlyFound.count
      current.lastPlace = newlyFound.last.flatMap { parties.place(of: $0) }
      for party in newlyFound where parties.touch(party) { current.found.append((party, nil)) }
      if isWhole {
        current.scanned += 1
        current.lastPlace = nil
      }
    }
    round = current
    return current.scanned == current.positions.upperBound
  }

  // MARK: Telling

  /// Goes on telling whom a round concerns; answers whether all were told.
  private mutating func finishTelling(
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) -> Bool {
    guard var current = round else { return true }
    round = nil
    while current.toldCount < current.found.count, steps > 0 {
      let (number, noted) = current.found[current.toldCount]
      current.toldCount += 1
      steps -= 1
      // Those whose party ended meanwhile are not concerned, nor is another of the same number.
      guard var party = parties.takeTouched(number) else { continue }
      let positions = noted.map { current.noted[$0] } ?? Array(current.positions)[...]
      if noted == nil { steps -= positions.count }
      let wanted = positions.filter { party.request.wants($0, state) }
      let part = EventPart(
        positions: wanted[...],
        through: current.revision,
        isShared: current.found.count > 1
      )
      let outcome = tell(part, to: &party, state, &steps, &output)
      parties.putBack(party, as: number)
      switch outcome {
      case .told: break
      case .tooMuch:
        // To be taken out of the index costs more than to be looked at.
        steps -= 6 + party.members.count
        leaveBehind(number)
      case .refused:
        steps -= 10 * party.members.count
        end(party, &output)
      }
    }
    lastBody = LastBody()
    round = current
    return current.toldCount == current.found.count
  }

  private enum Outcome {
    case told
    /// What is long is told from history, which can stop in the middle; so are those who read slowly.
    case tooMuch
    case refused
  }

  private mutating func tell(
    _ part: EventPart,
    to party: inout Party,
    _ state: ReplicatedState,
    _ steps: inout Int,
    _ output: inout WatchOutput
  ) -> Outcome {
    guard let first = part.positions.first else { return .told }
    let changes = state.keyspace.changes
    var byteCount = 8 * party.members.count
    for position in part.positions {
      byteCount += changes[position].eventByteCount(withPrevious: party.request.wantsPrevious)
    }
    guard byteCount <= fragmentByteCount, hasRoom(party.connection, for: byteCount) else {
      return .tooMuch
    }
    guard mayBeTold(party.request.range, party.session, state) else { return .refused }
    let oldest = changes[first].revision
    let (watches, later) = party.advance(from: oldest, through: part.through)
    if !watches.isEmpty {
      steps -= 2 + send(part, to: Audience(watches, of: party), state, &output) / 512
    }
    // Who began in the middle of it wants the rest alone.
    for member in later {
      let rest = part.positions.drop { changes[$0].revision < member.next }
      let own = EventPart(positions: rest, through: part.through)
      steps -= 3 + send(own, to: Audience([member.watch], of: party), state, &output) / 512
    }
    return .told
  }

  /// Ends the watches of those who may not read their range any more.
  private mutating func end(_ party: Party, _ output: inout WatchOutput) {
    for member in party.members {
      let audience = Audience([member.watch], of: party)
      send(.end(member.next - 1, compactedBelow: .zero), to: audience, &output)
      cancel(WatcherID(connection: party.connection, watch: member.watch))
    }
  }
}
