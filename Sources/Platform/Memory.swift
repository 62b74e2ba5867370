internal import RoostCLinux

/// How this process gets its memory from the system.
package enum Memory {
  /// Keeps memory that was freed instead of handing it back, and takes it from one place for all threads.
  ///
  /// A busy node frees as many bytes as it takes, in pieces of a few hundred kilobytes. By default each of these is mapped anew,
  /// and the kernel clears every page of it again: seen to cost a third of a leader's time. For a process that is a node alone;
  /// one that embeds a node decides for itself.
  package static func keepWhatIsFreed() { roost_keep_memory() }
}
