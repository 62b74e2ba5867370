/// What the machine asks of the world.
package struct ClientEffects: Equatable, Sendable {
  /// Connections to make: to the endpoint of that index, under that name.
  package var connects: [(link: LinkID, endpoint: Int)] = []
  /// Bytes to send; one item a link, as far as nothing came between.
  package var sends: [(link: LinkID, bytes: [UInt8])] = []
  package var closes: [LinkID] = []
  package var results: [(call: CallID, result: CallResult)] = []
  /// What the application should know, in order.
  package var notices: [ClientNotice] = []

  package init() {}

  /// Whether nothing is asked.
  package var isEmpty: Bool {
    sends.isEmpty && results.isEmpty && notices.isEmpty && closes.isEmpty && connects.isEmpty
  }

  package static func == (left: ClientEffects, right: ClientEffects) -> Bool {
    left.connects.elementsEqual(right.connects, by: ==)
      && left.sends.elementsEqual(right.sends, by: ==) && left.closes == right.closes
      && left.results.elementsEqual(right.results, by: ==) && left.notices == right.notices
  }

  /// Lets `body` append to what goes out on a link, behind what does so already.
  mutating func send(on link: LinkID, _ body: (inout [UInt8]) -> Void) {
    if sends.last?.link != link { sends.append((link, [])) }
    body(&sends[sends.count - 1].bytes)
  }
}
