import RoostJournal
import RoostRaft
import RoostReplica
import RoostWire

/// Faults of disks, and of what bytes come in.
extension SimulatedCluster {
  func strikeDisk(_ action: FaultAction) {
    switch action {
    case .writeFailure(let node): nodes[node].disk.nextWriteFailure = .failed
    case .operationFailure(let node, let after):
      guard nodes[node].life != nil else { return }
      nodes[node].disk.nextOperationFailure = .failed
      nodes[node].disk.operationsBeforeFailure = after
    case .fullDisk(let node, let room, let length):
      nodes[node].disk.capacity = nodes[node].disk.usedByteCount + room
      queue.add(.end(.room(node)), at: now + length)
    case .lyingSync(let node): nodes[node].disk.lyingSyncs = 1
    case .powerLossAtStart(let node, let operations, let down):
      guard nodes[node].life != nil else { return }
      losePower(nodes[node], down: down)
      nodes[node].startFuse = (operations, down)
    case .bitRot(let node, let draw, let down):
      guard mayLoseDisk(of: nodes[node]) else { return }
      impaired = node
      losePower(nodes[node], down: down)
      rot(nodes[node], SplitMix64(seed: draw))
    case .diskLoss(let node, let down):
      guard mayLoseDisk(of: nodes[node]) else { return }
      impaired = node
      meet(.diskLost)
      losePower(nodes[node], down: down)
      nodes[node].replaceDisk(keepsIdentity: plan.flaw == .shell(.lostDiskKeepsIdentity))
    default: break
    }
  }

  /// Whether the others have everything and can go on alone: all are up, agree on who belongs to the cluster, and none of
  /// them has lost anything.
  private func mayLoseDisk(of node: SimulatedNode) -> Bool {
    guard impaired == nil, node.life != nil else { return false }
    var memberships: [Membership] = []
    for other in nodes {
      guard let life = other.life else { return false }
      memberships.append(life.look { $0.consensus.membership })
    }
    guard let first = memberships.first(where: { !$0.members.isEmpty }) else { return false }
    return memberships.allSatisfy { membership in
      membership.members.isEmpty
        || membership == first && membership.phase == .settled
          && membership.hasQuorum { $0 != node.id }
    }
  }

  /// Damages a file: single bits, or a sector that holds something else.
  private func rot(_ node: SimulatedNode, _ random: SplitMix64) {
    var random = random
    guard let names = try? node.disk.list(), !names.isEmpty else { return }
    let name = names[Int(random.below(UInt64(names.count)))]
    guard let byteCount = try? node.disk.byteCount(of: name), byteCount > 0 else { return }
    if name.hasSuffix(".log"), random.chance(1, in: 2), rotLog(name, of: node, &random) { return }
    // Most of a segment is empty as yet.
    let part = random.chance(1, in: 2) ? UInt64(byteCount) : min(UInt64(byteCount), 4096)
    var offsets: [Int] = []
    for _ in 0...random.below(3) { offsets.append(Int(random.below(part))) }
    if random.chance(1, in: 3) {
      let start = offsets[0] / SimulatedFile.sectorByteCount * SimulatedFile.sectorByteCount
      try? node.disk.damage(name, start..<start + SimulatedFile.sectorByteCount) { _ in
        UInt8(truncatingIfNeeded: random.next())
      }
      tell("node \(node.id)", "will find other bytes in \(name) from \(start) on")
    } else {
      let bit = UInt8(random.below(8))
      for offset in offsets { try? node.disk.damage(name, offset..<offset + 1) { $0 ^ 1 << bit } }
      tell("node \(node.id)", "will find bits of \(name) turned over at \(offsets)")
    }
  }

  /// Damages what was written last, or takes out a block of which later ones know; false if there is too little.
  private func rotLog(
    _ name: String,
    of node: SimulatedNode,
    _ random: inout SplitMix64
  ) -> Bool {
    let unit = plan.journal.unit
    guard let byteCount = try? node.disk.byteCount(of: name),
      let bytes = try? node.disk.read(name, at: 0, byteCount: byteCount),
      let last = bytes.lastIndex(where: { $0 != 0 })
    else { return false }
    let count = last / unit + 1
    // So far from the end that later writes were begun when it was known to be durable, and say so. A block that is
    // gone from the last write is what an unfinished write looks like, and no log could tell them apart.
    let distance = max(12, 4 * (node.disk.longestWrite / unit + 1))
    guard count > 24 else { return false }
    if random.chance(1, in: 2) {
      let sector = SimulatedFile.sectorByteCount
      let written = stride(from: 0, through: last, by: sector).filter { start in
        bytes[start..<min(start + sector, byteCount)].contains { $0 != 0 }
      }
      let offset = written[written.count - 1 - Int(random.below(4))] + Int(random.below(24))
      try? node.disk.damage(name, offset..<offset + 1) { $0 ^ 1 << UInt8(random.below(8)) }
      tell("node \(node.id)", "will find a bit of \(name) turned over at \(offset), near its end")
    } else {
      let block = count - distance - Int(random.below(8))
      guard block > 8 else { return false }
      try? node.disk.damage(name, block * unit..<(block + 1) * unit) { _ in 0 }
      tell("node \(node.id)", "will find nothing in \(name) from \(block * unit) on")
    }
    return true
  }

  /// Bytes that no member sent: a length beyond all limits, or nothing that makes sense.
  func sendGarbage(from: Int, to: Int, _ draw: UInt64) {
    var random = SplitMix64(seed: draw)
    var bytes = (0..<random.draw(from: 8...80)).map { _ in UInt8(truncatingIfNeeded: random.next())
    }
    if random.chance(1, in: 2) {
      for place in 4..<8 { bytes[place] = 0xFF }
      meet(.oversizedFrame)
    }
    guard nodes[from].life?.links.contains(where: { $0.to == to && $0.pipe != nil }) == true else {
      return
    }
    queue.add(.packet(from: from, to: to, bytes: bytes), at: now + 1000)
  }
}
