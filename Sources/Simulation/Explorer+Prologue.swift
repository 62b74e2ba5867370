internal import RoostRaft
internal import RoostWire

// What has happened before a search begins.

extension Explorer {
  mutating func play(_ scenes: [ExplorationModel.Scene]) {
    var deaf: Set<Int> = []
    var slow: Set<Int> = []
    for scene in scenes {
      switch scene {
      case .elect(let id): make(.timeout, at: id)
      case .heartbeat(let id): make(.heartbeat, at: id)
      case .propose(let id): make(.propose, at: id)
      case .snapshot(let id): make(.snapshot, at: id)
      case .crash(let id): make(.crash(writes: 0, entriesOfNext: nil), at: id)
      case .loseJournal(let id): make(.loseJournal, at: id)
      case .change(let id, let number): make(.change(number), at: id)
      case .deaf(let ids): deaf = Set(ids.map { Int($0) - 1 })
      case .slow(let ids): slow = Set(ids.map { Int($0) - 1 })
      }
      settle(deaf, slow)
    }
    current.history = number(of: histories[Int(current.history)].rested)
    for slot in current.nodes.indices {
      var node = places.nodes[Int(current.nodes[slot])]
      node.heartbeatCount = 0
      current.nodes[slot] = places.number(of: node)
    }
  }

  private mutating func make(_ move: ExploredMove, at id: UInt64) {
    let slot = Int(id) - 1
    let transition = places.outcome(of: move, at: current.nodes[slot])
    pass(ExploredEvent(slot: slot, transition: transition, action: ExploredAction(.move(0))))
  }

  /// Delivers and syncs until nothing is under way.
  private mutating func settle(_ deaf: Set<Int>, _ slow: Set<Int>) {
    lose(deaf, but: slow)
    while true {
      if let slot = current.nodes.firstIndex(where: { !places.nodes[Int($0)].writes.isEmpty }) {
        make(.sync, at: UInt64(slot) + 1)
      } else if let place = current.packets.firstIndex(where: { !touches($0, slow) }) {
        pass(delivery(of: place))
      } else {
        return
      }
      lose(deaf, but: slow)
    }
  }

  private mutating func lose(_ deaf: Set<Int>, but slow: Set<Int>) {
    current.packets = current.packets.filter { !touches($0, deaf) || touches($0, slow) }
  }

  private func touches(_ packet: UInt32, _ slots: Set<Int>) -> Bool {
    let facts = places.packetFacts[Int(packet)]
    return slots.contains(facts.sender) || slots.contains(facts.recipient)
  }

  private mutating func pass(_ event: ExploredEvent) {
    var breach: String?
    if take(event, &breach) {
      precondition(breach == nil, "nothing is broken before a search begins")
      current.copy(next)
    } else if let delivered = event.delivered {
      current.packets.remove(at: delivered)
    }
  }
}

extension ExploredHistory {
  /// What happened stays; what it took from what may happen is given back.
  fileprivate var rested: ExploredHistory {
    var history = ExploredHistory()
    history.committed = committed
    history.commitTerms = commitTerms
    history.reigns = reigns
    return history
  }
}
