import RoostWire
import TestSupport
import Testing

@Suite struct AdminRequestTests {
  private static let change: MembershipChange = {
    var change = MembershipChange([
      MemberWish(NodeID(4), .voter, incarnation: 9, address: Array("127.0.0.1:7404".utf8)),
      MemberWish(NodeID(1), .gone),
    ])
    change.version = 3
    return change
  }()

  @Test func everyAdminRequestComesBack() {
    for request in [AdminRequest.change(Self.change), .transferLeadership(NodeID(2))] {
      Laws.roundTrip(request)
      Laws.everyBitCounts(request)
    }
  }

  @Test func aChangeThatNamesAMemberTwiceOrNobodyIsRefused() {
    var twice = Self.change.encoded()
    // The ids stand at the start of each wish; the first is 22 bytes long.
    twice[11 + 20 + 0] = 1
    #expect(throws: WireError.self) { try MembershipChange(decodingAll: twice) }
    var nobody = [UInt8](Self.change.encoded().prefix(9))
    nobody += [0, 0]
    #expect(throws: WireError.self) { try MembershipChange(decodingAll: nobody) }
    #expect(Self.change.wishes.map(\.id) == [NodeID(1), NodeID(4)], "wishes are ordered")
  }
}
