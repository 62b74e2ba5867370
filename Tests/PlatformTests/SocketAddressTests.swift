import RoostPlatform
import Testing

@Suite struct SocketAddressTests {
  @Test(arguments: ["127.0.0.1:7401", "[::1]:80", "unix:/run/kv.sock", "10.1.2.3:65535"])
  func addressesReadAsTheyAreWritten(text: String) {
    #expect(SocketAddress(text).map { "\($0)" } == text)
  }

  @Test func localhostIsAnAddressWithoutALookUp() {
    #expect(SocketAddress("localhost:1").map { "\($0)" } == "127.0.0.1:1")
  }

  @Test(arguments: [
    "", ":", "7401", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:-1", "example.org:80",
    "::1:80", "[::1]", "[127.0.0.1]:80", "unix:", "300.1.1.1:5",
  ])
  func whatIsNoAddressIsRefused(text: String) {
    #expect(SocketAddress(text) == nil)
  }

  @Test func onlyLoopbackIsLoopback() {
    let near = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:/x"].compactMap { SocketAddress($0) }
    let far = ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"].compactMap { SocketAddress($0) }
    #expect(near.count == 4 && near.allSatisfy(\.isLoopback))
    #expect(far.count == 3 && !far.contains(where: \.isLoopback))
  }
}
