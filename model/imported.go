package model

// Imported is a model as a publisher's file has it, ready for a compiler.
type Imported struct {
	// Format says what kind of file it is and who wrote it.
	Format string
	// Graph gives one answer: the scores of the classes, the probability of the second of two, or values.
	Graph *Graph
	// Classes names the labels of a classifier in the order of its scores.
	Classes []string
	// Columns tell what the values of a row are, where some are text; else there are none.
	Columns []Column
	// Notes tell what the publisher should know: what is left out, or understood in one of several ways.
	Notes []string
}

// Column is one value of a row: a number or, where there are categories, the index of a text among them, or −1.
type Column struct {
	Name       string
	Categories []string // ascending
}
