import Foundation
import RoostClient
import RoostNode
import RoostRecipes
import Testing

@Suite struct ClaimTests {
  @Test(.timeLimit(.minutes(1)))
  func theFirstClaimantOwnsTheNameForGood() async throws {
    let folder = "/tmp/roost-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = NodeConfiguration(
      id: 1,
      cluster: 7,
      peers: [1: "127.0.0.1:0"],
      dataDirectory: folder
    )
    configuration.mayFound = true
    let node = try await ClusterNode(configuration)
    let cluster = try Cluster(ClientConfiguration(endpoints: [node.address]))
    let claim = Claim(Array("migration".utf8), on: cluster)
    let (a, b) = (Array("a".utf8), Array("b".utf8))
    var owners = [try await claim.owner()]
    for claimant in [a, b, a] { owners.append(try await claim.make(for: claimant)) }
    #expect(owners == [nil, a, a, a])
    let wasWithdrawn = try await claim.withdraw()
    let next = try await claim.make(for: b)
    #expect(wasWithdrawn && next == b)
    await node.stop()
  }
}
