import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// What happens where one segment ends and the next begins.
@Suite struct SegmentSwitchTests {
  /// Seen as a follower that took entries and never acknowledged them: nobody prepared another segment.
  @Test func aGroupThatFillsANewSegmentDoesNotStopTheNextOnes() throws {
    let disk = SimulatedDisk()
    let settings = JournalSettings(
      segmentByteCount: 16384,
      unit: 512,
      inFlightLimit: 3,
      groupByteLimit: 65536,
      payloadLimit: 1500
    )
    let identity = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))
    let (journal, _) = try Journal.open(on: disk, as: identity, settings: settings)
    let entries = (1...400).map { (index: UInt64) in
      Entry(
        term: Term(1),
        index: LogIndex(index),
        time: ClusterTime(index),
        kind: .requests,
        payload: [UInt8](repeating: 7, count: 200)
      )
    }
    journal.append(ticket: 1, entries: entries)
    var durable: UInt64?
    for _ in 0..<200 where durable == nil {
      disk.finish()
      durable = journal.poll().durable
    }
    #expect(durable == 1)
  }
}
