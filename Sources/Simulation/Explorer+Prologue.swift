internal import RoostRaft
internal import RoostWire

// What has happened before a search begins.

extension Explorer {
  mutating func play(_ scenes: [ExplorationModel.Scene]) {
    var deaf: Set<Int> = []
    for scene in scenes {
      switch scene {
      case .elect(let id): make(.timeout, at: id)
      case .heartbeat(let id): make(.heartbeat, at: id)
      case .propose(let id): make(.propose, at: id)
      case .snapshot(let id): make(.snapshot, at: id)
      case .crash(let id): make(.crash(writes: 0, entriesOfNext: nil), at: id)
      case .deaf(let ids): deaf = Set(ids.map { Int($0) - 1 })
      }
      settle(deaf)
    }
    current.history = number(of: histories[Int(current.history)].rested)
  }

  private mutating func make(_ move: ExploredMove, at id: UInt64) {
    let slot = Int(id) - 1
    let possible = places.moves(of: current.nodes[slot])
    guard let place = possible.first(where: { places.moves[$0].move == move }) else {
      preconditionFailure("a prologue asks for what the model allows")
    }
    let transition = places.moves[place].transition
    pass(
      ExploredEvent(
        slot: slot,
        transition: transition,
        price: move.price,
        action: ExploredAction(.move(place))
      )
    )
  }

  /// Delivers and syncs until nothing is under way.
  private mutating func settle(_ deaf: Set<Int>) {
    while true {
      if let slot = current.nodes.firstIndex(where: { !places.nodes[Int($0)].writes.isEmpty }) {
        make(.sync, at: UInt64(slot) + 1)
      } else if let packet = current.packets.first {
        let facts = places.packetFacts[Int(packet)]
        if deaf.contains(facts.sender) || deaf.contains(facts.recipient) {
          current.packets.removeFirst()
        } else {
          pass(delivery(of: 0))
        }
      } else {
        return
      }
    }
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
