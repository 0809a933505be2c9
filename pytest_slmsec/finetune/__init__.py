"""Fine-tuning: a recipe, rows of training data, a thin layer over TRL's SFTTrainer and PEFT, and what is published."""
