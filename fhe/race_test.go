//go:build race

package fhe_test

const raceDetector = true
