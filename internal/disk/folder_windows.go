package disk

import "os"

// SyncFolder does nothing: Windows syncs no folders.
func SyncFolder(*os.File) error { return nil }
