// Command rclone is rclone with the one command and the one backend that the
// comparison needs. Like rclone it takes its flags from the command line and
// its remote from the environment.
package main

import (
	_ "github.com/rclone/rclone/backend/b2"
	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/backend/s3"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/cat"
	_ "github.com/rclone/rclone/cmd/copyto"
	_ "github.com/rclone/rclone/cmd/rcat"
)

func main() { cmd.Main() }
