package disk

import "syscall"

// largeFile lets files be larger than 2 GiB where an int has 32 bits. os.OpenFile
// sets it, os.Root does not.
const largeFile = syscall.O_LARGEFILE
