internal import RoostWire

extension WatchTable {
  /// Watchers of one connection that keep up and want the same: they are told together, by one event that names them all.
  struct Party: Sendable {
    struct Member: Sendable {
      let watch: UInt64
      let slot: Int
      /// The first revision that it has not been told wholly.
      var next: UInt64
    }

    /// More form another party, so that one is told, or left behind, in a short time.
    static let memberLimit = 128

    let connection: UInt64
    let session: SessionID
    /// What all of them want; its number and its start are those of one of them.
    let request: WatchRequest
    var members: [Member] = []
    /// Whether the round under way concerns it.
    var isTouched = false

    /// What those who may be told together have in common.
    fileprivate var key: [UInt8] {
      let number = 8
      let wish = request.encoded().dropFirst(number).dropLast(number)
      return connection.bigEndianBytes + session.rawValue.bigEndianBytes + wish
    }
  }

  /// All parties, found by their ranges.
  struct PartyTable: Sendable {
    private var parties = ChunkedArray<Party?>()
    private var free: [Int] = []
    private var index = RangeIndex()
    /// By what their watchers have in common: the party that takes one more.
    private var open = OrderedMap()

    init() {}

    /// How many there are.
    var count: Int { index.count }
    /// All numbers of parties are below it.
    var limit: Int { parties.count }

    /// A party that there is, or none any more.
    subscript(number: Int) -> Party? { parties[number] }

    /// Lets a watcher join those who want the same; answers its party.
    mutating func add(_ watcher: Watcher, in slot: Int) -> Int {
      let member = Party.Member(watch: watcher.id.watch, slot: slot, next: watcher.next)
      let party = Party(
        connection: watcher.id.connection,
        session: watcher.session,
        request: watcher.request
      )
      let key = party.key
      if let number = open.slot(under: key).map({ Int($0) }),
        parties.update(number, { $0?.add(member) ?? false })
      {
        return number
      }
      let number = free.popLast() ?? parties.count
      if number == parties.count { parties.append(party) } else { parties[number] = party }
      _ = parties.update(number) { $0?.add(member) }
      open.setSlot(UInt32(number), under: key)
      index.insert(party.request.range, id: number)
      return number
    }

    /// Takes a watcher out of its party, which ends with the last one.
    mutating func remove(_ slot: Int, from number: Int) {
      let isEmpty = parties.update(number) { party in
        party?.members.removeAll { $0.slot == slot }
        return party?.members.isEmpty ?? false
      }
      if isEmpty { remove(number) }
    }

    /// Ends a party; answers who belonged to it.
    @discardableResult
    mutating func remove(_ number: Int) -> Party? {
      guard let party = parties[number] else { return nil }
      let key = party.key
      if open.slot(under: key).map({ Int($0) }) == number { open.remove(key.span) }
      index.remove(party.request.range, id: number)
      parties[number] = nil
      free.append(number)
      return party
    }

    /// Ends all parties; answers them.
    mutating func removeAll() -> [Party] {
      let all = (0..<parties.count).compactMap { parties[$0] }
      self = PartyTable()
      return all
    }

    /// Takes out a party that the round under way concerns, which ``putBack(_:as:)`` must follow; it is not copied.
    mutating func takeTouched(_ number: Int) -> Party? {
      parties.update(number) { party in
        guard party?.isTouched == true else { return nil }
        party?.isTouched = false
        return party.take()
      }
    }

    mutating func putBack(_ party: Party, as number: Int) { parties[number] = party }

    /// Lets the round under way concern a party; answers whether it did not do so before.
    mutating func touch(_ number: Int) -> Bool {
      parties.update(number) { party in
        guard party?.isTouched == false else { return false }
        party?.isTouched = true
        return true
      }
    }

    /// Shows the parties that watch `key`, in their order, until `body` answers false.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - last: Only what comes after that place is shown, whether it is still there or not.
    ///   - body: Is given a party's number.
    /// - Returns: Whether all were shown.
    func forEach(
      around key: [UInt8],
      after last: RangeIndex.Place? = nil,
      _ body: (Int) -> Bool
    ) -> Bool {
      index.forEach(around: key, after: last, body)
    }

    /// Where a party stands in their order.
    func place(of number: Int) -> RangeIndex.Place? {
      parties[number].map { RangeIndex.Place(start: $0.request.range.start, id: number) }
    }
  }
}

extension WatchTable.Party {
  /// Notes that all up to `revision` is told now, of which the first is of the revision `oldest`.
  ///
  /// - Returns: The watches that want all of it, and the members that want only what is of their `next` revision or later.
  mutating func advance(
    from oldest: UInt64,
    through revision: UInt64
  ) -> (watches: [UInt64], later: [Member]) {
    var watches: [UInt64] = []
    watches.reserveCapacity(members.count)
    var later: [Member] = []
    for place in members.indices {
      let member = members[place]
      if member.next <= oldest {
        watches.append(member.watch)
      } else if member.next <= revision {
        later.append(member)
      }
      members[place].next = max(member.next, revision + 1)
    }
    return (watches, later)
  }

  /// Lets one more in, if there is room.
  fileprivate mutating func add(_ member: Member) -> Bool {
    guard members.count < Self.memberLimit else { return false }
    members.append(member)
    return true
  }
}
