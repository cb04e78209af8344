//go:build !linux

package disk

const largeFile = 0
