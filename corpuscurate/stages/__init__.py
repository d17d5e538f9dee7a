"""Every stage that a recipe can name, one file a stage: file name = recipe word = test name."""
